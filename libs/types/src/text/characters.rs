//! What a single character is, for the rules of texts: the properties of the
//! Unicode Character Database that `unicode-properties` has, and the one that it
//! lacks, as a table.

use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// C0, C1, and the separators that break lines without being control characters.
pub(super) fn is_control(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// The property `Bidi_Control` (UAX #9): marks, embeddings, overrides, isolates.
pub(super) const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows nothing, or nothing certain, whatever stands beside it: default
/// ignorable characters, other format characters and blanks that are no white
/// space. Joiners, selectors and bidirectional controls have rules of their own.
pub(super) fn is_hidden(c: char) -> bool {
    if is_joiner(c) || is_selector(c) || is_bidi_control(c) {
        return false;
    }
    let format = c.general_category() == GeneralCategory::Format && !is_visible_format(c);
    // U+2800 is a braille pattern without dots.
    is_default_ignorable(c) || format || c == '\u{2800}'
}

/// Has no meaning that two sides could agree on: private use, and what Unicode
/// has not assigned, noncharacters included.
pub(super) fn is_unassigned(c: char) -> bool {
    let category = c.general_category();
    matches!(category, GeneralCategory::PrivateUse | GeneralCategory::Unassigned)
        && !is_default_ignorable(c)
}

/// Zero-width joiner and non-joiner: emoji, Persian and Indic scripts need them.
pub(super) const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Variation selectors that people type, though rarely knowing: of emoji (15 and
/// 16) and of ideographs (17 to 256). All others are hidden characters.
pub(super) const fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a selector has something to select: an emoji before it, which a digit
/// is only within a keycap (UTS #51), or an ideograph with variants that names
/// are written with (UTS #37).
pub(super) fn selects(before: Option<char>, selector: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    if matches!(selector, '\u{fe0e}' | '\u{fe0f}') {
        return before.is_emoji_char() && (!before.is_ascii() || after == Some('\u{20e3}'));
    }
    is_ideograph(before)
}

/// Stands on the character before it and takes no room of its own.
pub(super) fn is_mark(c: char) -> bool {
    let category = c.general_category();
    matches!(category, GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// The property `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`,
/// Unicode 17): shows nothing where it is not supported, assigned or not.
const fn is_default_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Format characters that have a shape: Arabic, Syriac and Kaithi number signs.
const fn is_visible_format(c: char) -> bool {
    matches!(
        c,
        '\u{600}'
            ..='\u{605}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'
                | '\u{891}'
                | '\u{8e2}'
                | '\u{110bd}'
                | '\u{110cd}'
    )
}

/// The blocks of unified and compatible ideographs (UAX #38).
const fn is_ideograph(c: char) -> bool {
    matches!(
        c,
        '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}
