//! File systems on which inotify does not report every change: other machines or other programs change the files without this
//! kernel, or through another path. "inotify reports only events that a user-space program triggers through the filesystem API"
//! (inotify(7), "Limitations and caveats").
//!
//! Leaves to others: what to do about it.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, StatxAttributes, StatxFlags, statfs, statx};

/// The types of these file systems (`f_type` of statfs(2)), each with its name for people. The numbers are from `linux/magic.h`,
/// or from where the comment says.
const UNREPORTED: [(u32, &str); 17] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    // statfs(2): CIFS_MAGIC_NUMBER and SMB2_MAGIC_NUMBER, for the dialects of the same client.
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    // SSHFS, davfs2, rclone, gocryptfs; virtiofs has the same number.
    (0x6573_5546, "FUSE"),
    // A write to a layer is not an event of the merged folder (Documentation/filesystems/overlayfs.rst, "Changes to underlying
    // filesystems"). The root of a container is often one.
    (0x794c_7630, "overlayfs"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    // Shared folders of VirtualBox.
    (0x786f_4256, "vboxsf"),
    // Cluster file systems, on a disk that several machines share.
    (0x7461_636f, "OCFS2"),
    // linux/gfs2_ondisk.h: GFS2_MAGIC.
    (0x0116_1970, "GFS2"),
    // fs/orangefs/protocol.h: ORANGEFS_SUPER_MAGIC.
    (0x2003_0528, "OrangeFS"),
    // Lustre's lustre_user.h: LL_SUPER_MAGIC. The kernel does not contain it.
    (0x0bd0_0bd0, "Lustre"),
];

/// Why events do not report every change of what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreported {
    /// This folder is on a file system of this type.
    FileSystem(PathBuf, &'static str),
    /// This file is mounted over another, as single files are into a container. Its events are those of the folder that it comes
    /// from.
    Mounted(PathBuf),
    /// This folder may be passed but not read, so its rename is not reported.
    Rename(PathBuf),
}

impl Unreported {
    /// Looks for the first of these folders on such a file system. Blocks on the file system.
    pub(super) fn among<'a>(mut folders: impl Iterator<Item = &'a PathBuf>) -> Option<Self> {
        folders.find_map(|folder| Some(Self::FileSystem(folder.clone(), unreported(folder)?)))
    }

    /// Looks for the first of these files that is mounted by itself. Blocks on the file system.
    pub(super) fn mounted(mut files: impl Iterator<Item = PathBuf>) -> Option<Self> {
        files.find(|file| is_mounted(file)).map(Self::Mounted)
    }

    /// The folder or file.
    pub(crate) fn place(&self) -> &Path {
        match self {
            Self::FileSystem(place, _) | Self::Mounted(place) | Self::Rename(place) => place,
        }
    }
}

/// Whether there is a file that is the root of a mount (statx(2), `STATX_ATTR_MOUNT_ROOT`). A folder that is one is watched itself.
fn is_mounted(file: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, file, flags, StatxFlags::TYPE).is_ok_and(|found| {
        let is_file = FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile;
        is_file && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// The name of the file system that a folder is on, if it does not report every change.
fn unreported(folder: &Path) -> Option<&'static str> {
    // Wider on some machines than on others, and signed on some.
    let kind = i128::from(statfs(folder).ok()?.f_type) & i128::from(u32::MAX);
    UNREPORTED.iter().find(|(known, _)| i128::from(*known) == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_file_system_reports_every_change() {
        // tmpfs, and whatever the machine has for temporary files unless that is an overlay itself.
        assert_eq!(unreported(Path::new("/dev/shm")), None);
        assert_eq!(unreported(Path::new("/nonexistent")), None);
    }
}
