//! Wayland's wire format, as far as the idle signal needs it: the few requests that it sends, and where an event begins and ends.
//!
//! It is written out here because a client library reads for as long as a compositor sends, keeps all of it, and writes what the
//! compositor says to standard error. Leaves to others: what the events mean (`wayland`).
//!
//! Source: The Wayland Protocol, "Wire Format"; `wayland.xml`; `ext-idle-notify-v1.xml`.

use std::io;

/// The objects that every connection has: the display, which is there from the start, and the first two that are created.
pub(super) const DISPLAY: u32 = 1;
pub(super) const REGISTRY: u32 = 2;
pub(super) const FIRST_SYNC: u32 = 3;

/// The next object that is created. The compositor insists on consecutive numbers.
pub(super) const NEXT_OBJECT: u32 = 4;

/// The bytes before the arguments of a message: the object, the size, and the number of the request or event.
const HEAD_BYTES: usize = 8;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The object that it is about.
    pub(super) object: u32,
    /// Its number among the events of that object's interface.
    pub(super) opcode: u32,
    arguments: Vec<u8>,
}

impl Event {
    /// Removes the first event from what was received; `None`: it is not complete yet. No event is larger than 64 KiB.
    pub(super) fn take(received: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let word = |at: usize| received.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
        let (Some(object), Some(size_and_opcode)) = (word(0), word(4)) else { return Ok(None) };
        let [opcode, size] = [size_and_opcode & 0xffff, size_and_opcode >> 16];
        let size = size as usize;
        if size < HEAD_BYTES || !size.is_multiple_of(4) {
            return Err(io::Error::other("the compositor does not speak Wayland"));
        }
        if received.len() < size {
            return Ok(None);
        }
        let arguments = received.drain(..size).skip(HEAD_BYTES).collect();
        Ok(Some(Self { object, opcode, arguments }))
    }

    /// Its arguments.
    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments(&self.arguments)
    }
}

/// The arguments of an event, from the first one on.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    /// The next argument, a number or an object.
    pub(super) fn number(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*word))
    }

    /// The next argument, a text. It ends in a zero byte, which counts, and is padded to whole words.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let text = self.0.get(..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..)?;
        text.strip_suffix(&[0])
    }
}

/// A request to `object` with its number and arguments.
fn request(object: u32, opcode: u16, arguments: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEAD_BYTES + arguments.len()).unwrap_or(u32::MAX);
    [&object.to_ne_bytes()[..], &(size << 16 | u32::from(opcode)).to_ne_bytes(), arguments].concat()
}

fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `wl_display.get_registry` and `wl_display.sync`: announce everything, and say when that is done.
pub(super) fn hello() -> Vec<u8> {
    [request(DISPLAY, 1, &words([REGISTRY])), request(DISPLAY, 0, &words([FIRST_SYNC]))].concat()
}

/// `wl_registry.bind`: the global with this number becomes the object `new`.
pub(super) fn bind(name: u32, interface: &str, version: u32, new: u32) -> Vec<u8> {
    let mut text = [interface.as_bytes(), &[0]].concat();
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    text.resize(text.len().next_multiple_of(4), 0);
    request(REGISTRY, 0, &[words([name, length]), text, words([version, new])].concat())
}

/// `ext_idle_notifier_v1.get_idle_notification`, or `get_input_idle_notification`, which version 2 has.
pub(super) fn notify(notifier: u32, input_alone: bool, new: u32, after: u32, seat: u32) -> Vec<u8> {
    request(notifier, if input_alone { 2 } else { 1 }, &words([new, after, seat]))
}

/// `ext_idle_notification_v1.destroy`.
pub(super) fn destroy(notification: u32) -> Vec<u8> {
    request(notification, 0, &[])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_has_a_head_and_padded_arguments() {
        let bytes = bind(7, "wl_seat", 1, 4);
        // 8 bytes of head, two words, the text with its zero byte, two words.
        assert_eq!(bytes.len(), 8 + 8 + 8 + 8);
        let event = Event::take(&mut bytes.clone()).unwrap().unwrap();
        assert_eq!((event.object, event.opcode), (REGISTRY, 0));
        let mut arguments = event.arguments();
        assert_eq!((arguments.number(), arguments.text()), (Some(7), Some(&b"wl_seat"[..])));
        assert_eq!((arguments.number(), arguments.number(), arguments.number()), (Some(1), Some(4), None));
    }

    #[test]
    fn an_event_is_complete_or_awaited() {
        let whole = hello();
        for end in 0..12 {
            assert_eq!(Event::take(&mut whole[..end].to_vec()).unwrap(), None, "{end}");
        }
        let mut both = whole.clone();
        assert!(Event::take(&mut both).unwrap().is_some());
        assert_eq!(both, whole[12..]);
        for size in [0_u32, 4, 7, 9, 10] {
            let mut head = [1_u32.to_ne_bytes(), (size << 16).to_ne_bytes()].concat();
            Event::take(&mut head).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            while let Ok(Some(event)) = Event::take(&mut bytes) {
                let mut arguments = event.arguments();
                while arguments.text().is_some() || arguments.number().is_some() {}
            }
        }
    }
}
