//! The trace that something belongs to, as W3C Trace Context writes it
//! (<https://www.w3.org/TR/trace-context/>, `traceparent`).

use std::{fmt, str::FromStr};

/// Who asked for something, within a trace: trace, span and flags. It says
/// nothing about a person, and anybody may have made it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never zero.
    pub trace: u128,
    /// The span that asked; never zero.
    pub span: u64,
    /// Bit 0: the caller records its part.
    pub flags: u8,
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParentError;

impl TraceParent {
    /// How long its text is, always.
    pub const LENGTH: usize = 55;
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Reads version 00, and of a later version what version 00 has (section 3.2.2).
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let (known, rest) = text.split_at_checked(Self::LENGTH).ok_or(TraceParentError)?;
        let mut parts = known.split('-');
        let version = hex(parts.next(), 2)?;
        let trace = hex(parts.next(), 32)?;
        let span = narrow::<u64>(hex(parts.next(), 16)?)?;
        let flags = narrow::<u8>(hex(parts.next(), 2)?)?;
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        if !fits || trace == 0 || span == 0 {
            return Err(TraceParentError);
        }
        Ok(Self { trace, span, flags })
    }
}

/// Digits of exactly this number, lower-case only.
fn hex(part: Option<&str>, digits: usize) -> Result<u128, TraceParentError> {
    let part = part.filter(|part| part.len() == digits).ok_or(TraceParentError)?;
    if !part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(TraceParentError);
    }
    u128::from_str_radix(part, 16).map_err(|_| TraceParentError)
}

fn narrow<T: TryFrom<u128>>(value: u128) -> Result<T, TraceParentError> {
    T::try_from(value).map_err(|_| TraceParentError)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Display for TraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent")
    }
}

impl std::error::Error for TraceParentError {}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_reads_back_as_what_it_was() {
        let read: TraceParent = GIVEN.parse().unwrap();
        assert_eq!((read.span, read.flags), (0xb7ad_6b71_6920_3331, 1));
        assert_eq!(read.to_string(), GIVEN);
        assert_eq!(GIVEN.len(), TraceParent::LENGTH);
        let later = format!("cc{}-what-comes", GIVEN.strip_prefix("00").unwrap());
        assert_eq!(later.parse(), Ok(read));
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let rest = GIVEN.strip_prefix("00").unwrap();
        for wrong in [
            String::new(),
            GIVEN.to_uppercase(),
            format!("{GIVEN}-"),
            format!("{GIVEN}0"),
            format!("ff{rest}"),
            format!("cc{rest}x"),
            format!("0{GIVEN}"),
            GIVEN.replace("b7ad6b7169203331", "0000000000000000"),
            GIVEN.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GIVEN.replace('-', "_"),
            GIVEN.replace("-01", "-+1"),
            "ä".repeat(55),
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(TraceParentError), "{wrong}");
        }
    }
}
