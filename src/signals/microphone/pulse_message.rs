//! Messages of `PulseAudio`'s native protocol: where one ends, and whether its values are complete.
//!
//! The crate `pulseaudio` parses them. It trusts every length in a message, so each one is checked here first. Leaves to others:
//! what is asked, and in which order (`pulse`).

use std::io;

use pulseaudio::protocol::{
    Command, CommandTag, DESCRIPTOR_SIZE, Descriptor, DescriptorFlags, ProtocolError, PulseError, TagStructRead,
    TagStructReader, encode_command_message, read_descriptor,
};

/// The largest message that is read. One recording stream takes about two thousand bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The channel of messages that do not carry sound.
const CONTROL_CHANNEL: u32 = u32::MAX;

/// The error for a message that ends in the middle of a value.
const CUT_SHORT: &str = "a message cut short";

/// Why something is not a valid message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Garbage {
    /// It is longer than any list of recording streams.
    #[error("a message of {0} bytes")]
    Huge(u32),
    /// It does not follow the protocol, or is not the expected message.
    #[error("{0}")]
    Malformed(String),
}

impl From<ProtocolError> for Garbage {
    fn from(error: ProtocolError) -> Self {
        Self::Malformed(match error {
            ProtocolError::Io(_) => CUT_SHORT.to_owned(),
            ProtocolError::Invalid(what) => what,
            error @ (ProtocolError::UnsupportedVersion(_)
            | ProtocolError::UnexpectedCommand(_)
            | ProtocolError::Unimplemented(..)
            | ProtocolError::ServerError(_)
            | ProtocolError::Timeout) => error.to_string(),
        })
    }
}

/// A complete message.
#[derive(Debug)]
pub(super) struct Message(Vec<u8>);

/// The kind of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The answer to the command with this number.
    Answer(u32),
    /// The command with this number was refused; `None`: the reason has no name.
    Refusal(u32, Option<PulseError>),
    /// Something that this client subscribed to has changed.
    Event,
    /// Anything else that the server sends.
    Other,
}

impl Message {
    /// Removes the first message from what was received; `None`: it is not complete yet.
    pub(super) fn take(received: &mut Vec<u8>) -> Result<Option<Self>, Garbage> {
        let Some(mut head) = received.get(..DESCRIPTOR_SIZE) else { return Ok(None) };
        let Descriptor { length, channel, flags, .. } = read_descriptor(&mut head)?;
        if channel != CONTROL_CHANNEL || flags != DescriptorFlags::empty() {
            return Err(Garbage::Malformed("unexpected sound".to_owned()));
        }
        let end = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_MESSAGE_BYTES)
            .map(|body| DESCRIPTOR_SIZE + body);
        let end = end.ok_or(Garbage::Huge(length))?;
        if received.len() < end {
            return Ok(None);
        }
        let body: Vec<u8> = received.drain(..end).skip(DESCRIPTOR_SIZE).collect();
        if is_complete(&body) { Ok(Some(Self(body))) } else { Err(Garbage::Malformed(CUT_SHORT.to_owned())) }
    }

    /// Its kind.
    pub(super) fn kind(&self) -> Result<Kind, Garbage> {
        let mut rest = self.0.as_slice();
        let mut values = TagStructReader::new(&mut rest, 0);
        let (tag, number) = (values.read_u32()?, values.read_u32()?);
        Ok(if tag == CommandTag::Reply as u32 {
            Kind::Answer(number)
        } else if tag == CommandTag::Error as u32 {
            Kind::Refusal(number, values.read_enum().ok())
        } else if tag == CommandTag::SubscribeEvent as u32 {
            Kind::Event
        } else {
            Kind::Other
        })
    }

    /// The content of an answer.
    pub(super) fn answer<T: TagStructRead>(&self, version: u16) -> Result<T, Garbage> {
        let mut rest = self.0.as_slice();
        let mut values = TagStructReader::new(&mut rest, version);
        let _ = (values.read_u32()?, values.read_u32()?);
        Ok(T::read(&mut values, version)?)
    }
}

/// The bytes of a command.
pub(super) fn command(number: u32, command: &Command, version: u16) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_command_message(&mut bytes, number, command, version).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Whether a body is a sequence of the protocol's values, none longer than the body.
fn is_complete(mut body: &[u8]) -> bool {
    while let Some((tag, rest)) = body.split_first() {
        let length = |at: &[u8]| at.first().map(|count| usize::from(*count));
        let size = match tag {
            // Null, true, false; and what only opens a list of values.
            b'N' | b'1' | b'0' | b'P' | b'f' => Some(0),
            b'B' => Some(1),
            b'L' | b'V' => Some(4),
            b'a' => Some(6),
            b'R' | b'r' | b'U' | b'T' => Some(8),
            b't' => memchr::memchr(0, rest).map(|end| end + 1),
            b'm' => length(rest).map(|count| 1 + count),
            b'v' => length(rest).map(|count| 1 + 4 * count),
            b'x' => {
                rest.first_chunk().and_then(|count| usize::try_from(u32::from_be_bytes(*count)).ok()?.checked_add(4))
            }
            _ => None,
        };
        let Some(rest) = size.and_then(|size| rest.get(size..)) else { return false };
        body = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulseaudio::protocol::{Prop, Props, SourceOutputInfo, SourceOutputInfoList, encode_reply_message};

    use super::*;

    const VERSION: u16 = 35;

    fn list() -> Vec<u8> {
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"Firefox");
        let one = SourceOutputInfo { index: 7, name: c"a call".into(), props, ..SourceOutputInfo::default() };
        let two = SourceOutputInfo { index: 9, ..one.clone() };
        let mut bytes = Vec::new();
        encode_reply_message(&mut bytes, 3, &vec![one, two], VERSION).unwrap();
        bytes
    }

    fn malformed(mut received: Vec<u8>) -> String {
        Message::take(&mut received).expect_err("garbage").to_string()
    }

    #[test]
    fn messages_are_taken_one_by_one_once_they_are_complete() {
        let whole = list();
        let mut received = Vec::new();
        for (count, byte) in whole.iter().enumerate() {
            assert!(Message::take(&mut received).unwrap().is_none(), "after {count} bytes");
            received.push(*byte);
        }
        received.extend_from_slice(&whole[..30]);
        let message = Message::take(&mut received).unwrap().expect("a message");
        assert_eq!(message.kind().unwrap(), Kind::Answer(3));
        let list: SourceOutputInfoList = message.answer(VERSION).unwrap();
        assert_eq!(list.iter().map(|one| one.index).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(received, whole[..30], "the next one stays");
    }

    #[test]
    fn a_length_is_checked_before_it_is_trusted() {
        let mut huge = list();
        huge[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(malformed(huge), "a message of 4294967295 bytes");
        let mut sound = list();
        sound[4..8].copy_from_slice(&0_u32.to_be_bytes());
        assert_eq!(malformed(sound), "unexpected sound");
        // A property that claims to be as long as memory.
        let mut inside = list();
        let name = inside.windows(8).position(|bytes| bytes == b"Firefox\0").unwrap();
        inside[name - 4..name].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(malformed(inside), "a message cut short");
    }

    #[test]
    fn an_invalid_list_is_an_error() {
        let mut bytes = list();
        // The name of the first, as a number.
        bytes[35] = b'L';
        let mut received = bytes;
        let Ok(Some(message)) = Message::take(&mut received) else { return };
        assert!(message.answer::<SourceOutputInfoList>(VERSION).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut framed = (u32::try_from(bytes.len()).unwrap()).to_be_bytes().to_vec();
            framed.extend([0xff; 4]);
            framed.extend([0; 12]);
            framed.extend(&bytes);
            for mut received in [framed, bytes] {
                read(&mut received);
            }
        }

        #[test]
        fn no_change_of_a_valid_message_causes_a_panic(at in 0..list().len(), byte: u8, cut in 0..list().len()) {
            let mut changed = list();
            changed[at] = byte;
            read(&mut changed.clone());
            changed.truncate(cut.max(4));
            let length = u32::try_from(changed.len().saturating_sub(DESCRIPTOR_SIZE)).unwrap();
            changed[..4].copy_from_slice(&length.to_be_bytes());
            read(&mut changed);
        }
    }

    fn read(received: &mut Vec<u8>) {
        while let Ok(Some(message)) = Message::take(received) {
            let _ = (message.kind(), message.answer::<SourceOutputInfoList>(VERSION));
        }
    }
}
