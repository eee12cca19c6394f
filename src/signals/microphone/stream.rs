//! What a recording stream says about its program: whether it may be a call, and the program's name for people.
//!
//! Leaves to others: asking the sound server (`pulse`), and where the stream records from (the parent module).

use pulseaudio::protocol::{Prop, SourceOutputInfo};

use crate::config::Microphone;

/// The longest name that is shown.
const MAX_NAME_CHARS: usize = 64;

/// Programs whose only streams are volume meters, by their application ids.
const METERS: [&str; 3] = ["org.PulseAudio.pavucontrol", "org.gnome.VolumeControl", "org.kde.plasma-pa"];

/// Where a stream must record from to be a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// Nowhere.
    Never,
    /// From a microphone: recording what the machine plays is not a call.
    FromMicrophones,
    /// From anywhere: the user has named the application, and may have a mixer between it and the microphone.
    FromAnywhere,
}

/// Whether a stream is a call.
pub(super) fn counts(stream: &SourceOutputInfo, config: &Microphone) -> Counts {
    let names = |list: &[String]| {
        let is = |name: &str| list.iter().any(|listed| listed.trim().to_lowercase() == name.to_lowercase());
        names(stream).any(|name| is(&name))
    };
    if stream.corked || is_plumbing(stream) || is_meter(stream) || names(&config.deny) {
        Counts::Never
    } else if config.allow.is_empty() {
        Counts::FromMicrophones
    } else if names(&config.allow) {
        Counts::FromAnywhere
    } else {
        Counts::Never
    }
}

/// The name of the stream's program: safe to show, and one under which the configuration may list it.
pub(super) fn name(stream: &SourceOutputInfo) -> String {
    let name = names(stream).next().unwrap_or_else(|| "a program without a name".to_owned());
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

/// All names of a stream's application.
fn names(stream: &SourceOutputInfo) -> impl Iterator<Item = String> {
    let well_known = [Prop::ApplicationName, Prop::ApplicationProcessBinary, Prop::ApplicationId];
    let keys = well_known.map(|prop| prop.to_c_str().to_owned()).into_iter();
    // PipeWire's own programs have this one, and maybe none of the others.
    let keys = keys.chain([c"node.name".to_owned()]);
    keys.filter_map(|key| text(stream.props.get_bytes(key))).filter(|name| !name.is_empty())
}

/// Whether the server, or a filter in it, carries sound from one device to another. The program that uses that sound has its
/// own stream.
fn is_plumbing(stream: &SourceOutputInfo) -> bool {
    let is_virtual = text(stream.props.get_bytes(c"node.virtual")).is_some_and(|value| value == "true");
    stream.client_index.is_none()
        || is_virtual
        || text(stream.props.get(Prop::MediaRole)).is_some_and(|r| r == "filter")
}

/// Whether it only measures the volume. `PulseAudio` shows that by its way of resampling, `PipeWire` by a property.
fn is_meter(stream: &SourceOutputInfo) -> bool {
    let by_server = stream.resample_method.as_deref() == Some(c"peaks");
    let monitors = text(stream.props.get_bytes(c"stream.monitor")).is_some_and(|value| value == "true");
    let known = text(stream.props.get(Prop::ApplicationId)).is_some_and(|id| METERS.contains(&id.as_str()));
    by_server || monitors || known
}

/// A property's text: bytes that end in a NUL.
fn text(bytes: Option<&[u8]>) -> Option<String> {
    let bytes = bytes?;
    Some(String::from_utf8_lossy(bytes.strip_suffix(b"\0").unwrap_or(bytes)).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    fn stream(props: &[(&str, &str)]) -> SourceOutputInfo {
        let mut stream = SourceOutputInfo { client_index: Some(1), ..SourceOutputInfo::default() };
        for (key, value) in props {
            let (key, value) = (CString::new(*key).unwrap(), CString::new(*value).unwrap());
            stream.props.set_bytes(key, value.as_bytes_with_nul());
        }
        stream
    }

    fn with(allow: &[&str], deny: &[&str]) -> Microphone {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Microphone {
            socket: "/nonexistent".into(),
            cookies: Vec::new(),
            allow: list(allow),
            deny: list(deny),
            settle: Microphone::SETTLE,
        }
    }

    const FIREFOX: &[(&str, &str)] = &[("application.name", "Firefox"), ("application.process.binary", "firefox-bin")];

    #[test]
    fn a_recording_is_a_call_unless_the_stream_says_otherwise() {
        let all = with(&[], &[]);
        let call = stream(FIREFOX);
        assert_eq!(counts(&call, &all), Counts::FromMicrophones);
        assert_eq!(counts(&SourceOutputInfo { muted: true, ..call.clone() }, &all), Counts::FromMicrophones);
        assert_eq!(counts(&SourceOutputInfo { corked: true, ..call.clone() }, &all), Counts::Never);
        assert_eq!(counts(&SourceOutputInfo { client_index: None, ..call.clone() }, &all), Counts::Never);
        let peaks = SourceOutputInfo { resample_method: Some(c"peaks".into()), ..call };
        assert_eq!(counts(&peaks, &all), Counts::Never);
        for no_call in [
            ("stream.monitor", "true"),
            ("application.id", "org.PulseAudio.pavucontrol"),
            ("media.role", "filter"),
            ("node.virtual", "true"),
        ] {
            assert_eq!(counts(&stream(&[no_call]), &all), Counts::Never, "{no_call:?}");
        }
    }

    #[test]
    fn lists_match_every_name_in_any_case() {
        let call = stream(FIREFOX);
        for name in ["firefox", "FIREFOX", "Firefox-Bin", " firefox "] {
            assert_eq!(counts(&call, &with(&[name], &[])), Counts::FromAnywhere, "{name}");
            assert_eq!(counts(&call, &with(&[], &[name])), Counts::Never, "{name}");
        }
        assert_eq!(counts(&call, &with(&["Zoom"], &[])), Counts::Never);
        assert_eq!(counts(&call, &with(&["fire"], &[])), Counts::Never, "a part of a name does not match");
        assert_eq!(counts(&call, &with(&["Zoom", "firefox"], &["obs"])), Counts::FromAnywhere);
        assert_eq!(counts(&call, &with(&["firefox"], &["firefox"])), Counts::Never, "`deny` comes first");
        assert_eq!(
            counts(&stream(&[("application.id", "us.zoom.Zoom")]), &with(&["US.Zoom.zoom"], &[])),
            Counts::FromAnywhere
        );
        assert_eq!(counts(&stream(&[("node.name", "pw-record")]), &with(&[], &["pw-record"])), Counts::Never);
        // A volume meter is not a call, even if it is allowed.
        let meter = SourceOutputInfo { resample_method: Some(c"peaks".into()), ..call };
        assert_eq!(counts(&meter, &with(&["firefox"], &[])), Counts::Never);
    }

    #[test]
    fn a_name_is_safe_to_show() {
        assert_eq!(name(&stream(FIREFOX)), "Firefox");
        assert_eq!(name(&stream(&[("application.name", ""), ("node.name", "pw-record")])), "pw-record");
        assert_eq!(name(&stream(&[("application.name", "a\u{1b}[31m\nb")])), "a[31mb");
        assert_eq!(name(&stream(&[("application.name", &"x".repeat(1000))])).len(), MAX_NAME_CHARS);
        assert_eq!(name(&stream(&[])), "a program without a name");
    }
}
