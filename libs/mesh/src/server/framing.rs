//! Where in a stream of messages its bytes are: each message comes behind five
//! bytes, a flag and its length (gRPC over HTTP/2, "Length-Prefixed-Message").

const PREFIX: usize = 5;

/// Follows the bytes of one stream.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// The prefix of the message that has begun, as far as it is there.
    prefix: Vec<u8>,
    /// What is missing of the message behind a whole prefix.
    missing: usize,
}

/// The message that has begun with the bytes that were read, or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// Whether a message has ended or begun within these bytes.
    pub(super) is_new: bool,
    /// How many of these bytes belong to the message that is not whole yet.
    pub(super) bytes: usize,
}

impl Framing {
    /// Follows these bytes.
    pub(super) fn read(&mut self, mut data: &[u8]) -> Begun {
        let mut begun = Begun { is_new: false, bytes: 0 };
        while let Some((first, rest)) = data.split_first() {
            if !self.is_within() {
                begun = Begun { is_new: true, bytes: 0 };
            }
            if self.prefix.len() < PREFIX {
                self.prefix.push(*first);
                data = rest;
                begun.bytes += 1;
                if let [_, length @ ..] = self.prefix.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.missing =
                        usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                }
            } else {
                let taken = self.missing.min(data.len());
                self.missing -= taken;
                data = data.get(taken..).unwrap_or_default();
                begun.bytes += taken;
            }
            if self.prefix.len() == PREFIX && self.missing == 0 {
                self.prefix.clear();
                begun = Begun { is_new: true, bytes: 0 };
            }
        }
        begun
    }

    /// Whether a message has begun and is not whole.
    pub(super) fn is_within(&self) -> bool {
        !self.prefix.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of so many bytes.
    fn message(length: u8) -> Vec<u8> {
        [&[0, 0, 0, 0, length][..], &vec![7; usize::from(length)]].concat()
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let stream = [message(3), message(0), message(9), message(1)].concat();
        let whole = [8, 13, 27, 33];
        for cut in 1..stream.len() {
            let mut framing = Framing::default();
            let mut read = 0;
            for part in stream.chunks(cut) {
                framing.read(part);
                read += part.len();
                assert_eq!(framing.is_within(), !whole.contains(&read), "{read} by {cut}");
            }
        }
    }

    #[test]
    fn only_what_is_not_whole_is_on_its_way() {
        let mut framing = Framing::default();
        let begun = |is_new, bytes| Begun { is_new, bytes };
        assert_eq!(framing.read(&message(9)[..6]), begun(true, 6));
        assert_eq!(framing.read(&[7; 2]), begun(false, 2));
        assert_eq!(framing.read(&[7; 6]), begun(true, 0));
        assert_eq!(framing.read(&[message(4), vec![0, 0]].concat()), begun(true, 2));
        assert_eq!(framing.read(&[]), begun(false, 0));
    }
}
