//! What a text that people read may contain.
//!
//! The rules keep a text from looking like another one or from hiding
//! something: Unicode Technical Reports #36 and #39, and CVE-2021-42574
//! ("Trojan Source") for the bidirectional controls.

mod characters;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::Violation;
use characters::{
    is_bidi_control, is_control, is_hidden, is_joiner, is_mark, is_selector, is_unassigned, selects,
};

/// The rules of one kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextRules {
    /// User-perceived characters (UAX #29).
    pub max_graphemes: usize,
    /// Bytes after normalisation, which can lengthen a text.
    pub max_bytes: usize,
    /// Whether line feeds are part of it.
    pub lines: bool,
}

/// A broken rule, before it is known at which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Id of the rule.
    pub rule: &'static str,
    /// What the rule asks for.
    pub description: Cow<'static, str>,
}

/// The normalised value, or every rule that the text breaks.
pub type Checked = Result<String, Vec<Broken>>;

impl Broken {
    /// A broken rule.
    pub fn new(rule: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { rule, description: description.into() }
    }

    /// The same, at a field of the request.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Violation {
        Violation::new(field, self.rule, self.description)
    }
}

/// Written languages stack at most five marks on a letter; what stacks more
/// covers the lines around it.
const MAX_MARKS: usize = 8;

/// The only flags that Unicode recommends to write with tag characters:
/// England, Scotland and Wales. Other tag characters are an invisible alphabet.
const TAG_FLAGS: [&str; 3] = [
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

impl TextRules {
    /// The text in normal form NFC, without white space at its ends and with
    /// line feeds as its only line breaks.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub fn check(&self, text: &str) -> Checked {
        let unix = text.replace("\r\n", "\n");
        let normal: String = unix.trim().nfc().collect();
        let mut broken = Vec::new();
        if normal.len() > self.max_bytes {
            let rule = format!("must have at most {} bytes in normal form NFC", self.max_bytes);
            broken.push(Broken::new("text.max_bytes", rule));
        } else if normal.graphemes(true).nth(self.max_graphemes).is_some() {
            let rule = format!("must have at most {} characters", self.max_graphemes);
            broken.push(Broken::new("text.max_graphemes", rule));
        }
        self.look_at_characters(&normal, &mut broken);
        if broken.is_empty() { Ok(normal) } else { Err(broken) }
    }

    fn look_at_characters(&self, text: &str, broken: &mut Vec<Broken>) {
        let visible = TAG_FLAGS.iter().fold(text.to_owned(), |text, flag| text.replace(flag, "F"));
        let refused = |c: char| is_control(c) && !(self.lines && c == '\n');
        if visible.contains(refused) {
            let rule = if self.lines {
                "must not contain control characters other than line feeds"
            } else {
                "must not contain control characters or line breaks"
            };
            broken.push(Broken::new("text.control", rule));
        }
        if visible.contains(is_bidi_control) {
            let rule = "must not contain bidirectional control characters";
            broken.push(Broken::new("text.bidi", rule));
        }
        let stray = has_stray_joiner(&visible) || has_stray_selector(&visible);
        if visible.contains(is_hidden) || stray {
            let rule = "must not contain invisible characters";
            broken.push(Broken::new("text.invisible", rule));
        }
        if visible.contains(is_unassigned) {
            let rule = "must not contain private or unassigned characters";
            broken.push(Broken::new("text.unassigned", rule));
        }
        if has_mark_pile(&visible) {
            let rule = format!("must not stack more than {MAX_MARKS} marks on a character");
            broken.push(Broken::new("text.marks", rule));
        }
    }
}

/// Whether a character shows nothing, or nothing certain: bidirectional
/// controls, hidden characters, and what Unicode has not assigned.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    is_bidi_control(c) || is_hidden(c) || is_unassigned(c)
}

/// A joiner that does not stand between two characters joins nothing and
/// only makes two equal-looking texts differ. After a mark it may end a word,
/// as it does in Malayalam.
fn has_stray_joiner(text: &str) -> bool {
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_joiner(c) {
            let joins = |side: Option<char>| {
                side.is_some_and(|c| !is_joiner(c) && !c.is_whitespace() && !c.is_ascii())
            };
            let after_mark = before.is_some_and(is_mark);
            if !joins(before) || !(after_mark || joins(chars.peek().copied())) {
                return true;
            }
        }
        before = Some(c);
    }
    false
}

/// A selector that stands where it selects nothing only makes two equal-looking
/// texts differ.
fn has_stray_selector(text: &str) -> bool {
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_selector(c) && !selects(before, c, chars.peek().copied()) {
            return true;
        }
        before = Some(c);
    }
    false
}

fn has_mark_pile(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        run = if is_mark(c) { run + 1 } else { 0 };
        run > MAX_MARKS
    })
}

#[cfg(test)]
mod tests;
