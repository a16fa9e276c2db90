//! The rules of texts on a corpus of names that exist and of texts that attack.

use proptest::prelude::*;

use super::*;

const NAME: TextRules = TextRules { max_graphemes: 64, max_bytes: 1024, lines: false };
const BIO: TextRules = TextRules { max_graphemes: 1000, max_bytes: 16_384, lines: true };
const METADATA_VALUE: TextRules = TextRules { max_graphemes: 1024, max_bytes: 1024, lines: true };

fn rules_broken(rules: &TextRules, text: &str) -> Vec<&'static str> {
    rules.check(text).err().into_iter().flatten().map(|broken| broken.rule).collect()
}

#[test]
fn names_of_the_world_are_taken_as_they_are() {
    for name in [
        "Ada Lovelace",
        "Zoë Åström",
        "Nguyễn Văn Thiệu",
        "Οδυσσέας Ελύτης",
        "Анна Ахматова",
        "محمود درويش",
        "حافظ\u{200c}شناس",
        "שְׁמוּאֵל",
        "क्षेमेन्द्र",
        "प्रज्ञा\u{200d}न",
        "അവന്\u{200d}",
        "ພອນ",
        "བསྟན་འཛིན",
        "村上 春樹",
        "葛\u{e0100}飾北斎",
        "김소월",
        "O’Brien-Smith, Jr.",
        "Ada 👩\u{200d}🔬",
        "👩\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Ewan",
        "🇺🇦 Леся",
        "Ada ☎\u{fe0e}",
        "No. 1\u{fe0f}\u{20e3}",
    ] {
        assert_eq!(NAME.check(name).as_deref(), Ok(name), "{name:?}");
    }
}

#[test]
fn a_text_is_stored_in_normal_form_without_white_space_at_its_ends() {
    assert_eq!(NAME.check("  Zoe\u{308} ").as_deref(), Ok("Zoë"));
    assert_eq!(NAME.check("\u{212b}ngström").as_deref(), Ok("Ångström"));
    assert_eq!(BIO.check("one\r\ntwo\n").as_deref(), Ok("one\ntwo"));
    assert_eq!(NAME.check(" \u{3000} ").as_deref(), Ok(""));
}

#[test]
fn hostile_texts_are_refused_with_the_rule_that_they_break() {
    for (text, rule) in [
        ("a\0b", "text.control"),
        ("a\u{1b}[31mb", "text.control"),
        ("a\nb", "text.control"),
        ("a\rb", "text.control"),
        ("a\tb", "text.control"),
        ("a\u{85}b", "text.control"),
        ("a\u{2028}b", "text.control"),
        ("a\u{7f}b", "text.control"),
        ("nimda\u{202e}", "text.bidi"),
        ("\u{202d}admin", "text.bidi"),
        ("a\u{2066}b\u{2069}", "text.bidi"),
        ("a\u{200f}b", "text.bidi"),
        ("a\u{61c}b", "text.bidi"),
        ("a\u{200b}b", "text.invisible"),
        ("ad\u{ad}min", "text.invisible"),
        ("a\u{feff}b", "text.invisible"),
        ("a\u{2060}b", "text.invisible"),
        ("\u{3164}", "text.invisible"),
        ("\u{2800}", "text.invisible"),
        ("a\u{e0041}\u{e0042}", "text.invisible"),
        ("\u{1f3f4}\u{e0067}\u{e0062}", "text.invisible"),
        ("ad\u{200d}min", "text.invisible"),
        ("admin\u{200c}", "text.invisible"),
        ("👩\u{200d}\u{200d}🔬", "text.invisible"),
        ("a\u{fffe}b", "text.unassigned"),
        ("a\u{fdd0}b", "text.unassigned"),
        ("a\u{e000}b", "text.unassigned"),
        ("a\u{10fffd}b", "text.unassigned"),
        ("a\u{378}b", "text.unassigned"),
        ("a\u{2065}b", "text.invisible"),
        ("a\u{e0080}b", "text.invisible"),
        ("a\u{fff3}b", "text.invisible"),
        ("a\u{180b}b", "text.invisible"),
        ("ᠠ\u{180b}ᠨ", "text.invisible"),
        ("a\u{fe00}b", "text.invisible"),
        ("a\u{fe0f}b", "text.invisible"),
        ("1\u{fe0f}", "text.invisible"),
        ("\u{fe0f}a", "text.invisible"),
        ("❤\u{fe0f}\u{fe0f}", "text.invisible"),
        ("a\u{e0100}b", "text.invisible"),
        ("葛\u{e0100}\u{e0101}", "text.invisible"),
        ("a\u{fff9}b", "text.invisible"),
    ] {
        assert_eq!(rules_broken(&NAME, text), [rule], "{text:?}");
    }
    let pile = format!("Z{}algo", "\u{300}\u{316}".repeat(8));
    assert_eq!(rules_broken(&NAME, &pile), ["text.marks"]);
}

#[test]
fn all_broken_rules_come_at_once() {
    let text = format!("\0\u{202e}\u{200b}{}", "a".repeat(65));
    let rules = ["text.max_graphemes", "text.control", "text.bidi", "text.invisible"];
    assert_eq!(rules_broken(&NAME, &text), rules);
}

#[test]
fn only_longer_texts_have_line_breaks() {
    assert_eq!(BIO.check("one\n\ntwo").as_deref(), Ok("one\n\ntwo"));
    assert_eq!(rules_broken(&BIO, "one\u{b}two"), ["text.control"]);
    assert_eq!(rules_broken(&NAME, "one\ntwo"), ["text.control"]);
}

#[test]
fn length_is_counted_in_what_a_person_sees() {
    let family = "👨\u{200d}👩\u{200d}👧";
    assert_eq!(NAME.check(&family.repeat(50)).map(|text| text.len()), Ok(50 * family.len()));
    assert!(NAME.check(&"a".repeat(64)).is_ok());
    assert_eq!(rules_broken(&NAME, &"a".repeat(65)), ["text.max_graphemes"]);
    assert_eq!(rules_broken(&NAME, &family.repeat(60)), ["text.max_bytes"]);
    // Normal form NFC makes three letters of this one: 2 bytes become 6.
    assert_eq!(rules_broken(&BIO, &"\u{0344}a".repeat(5462)), ["text.max_bytes"]);
}

proptest! {
    #[test]
    fn what_was_taken_once_is_taken_unchanged_again(text in "\\PC{0,80}") {
        if let Ok(once) = BIO.check(&text) {
            prop_assert_eq!(BIO.check(&once), Ok(once));
        }
    }

    #[test]
    fn no_control_or_direction_character_ever_gets_through(
        before in "\\PC{0,10}",
        bad in prop::sample::select(vec!['\0', '\u{7}', '\u{9b}', '\u{202a}', '\u{202e}', '\u{2067}', '\u{200e}', '\u{200b}']),
        after in "[a-z]{1,10}",
    ) {
        let text = format!("a{before}{bad}{after}");
        prop_assert!(NAME.check(&text).is_err());
        prop_assert!(BIO.check(&text).is_err());
        prop_assert!(METADATA_VALUE.check(&text).is_err());
    }

    #[test]
    fn no_text_at_all_breaks_the_check(text in any::<String>()) {
        for rules in [NAME, BIO, METADATA_VALUE] {
            if let Ok(normal) = rules.check(&text) {
                prop_assert!(normal.len() <= rules.max_bytes);
                prop_assert!(normal.graphemes(true).count() <= rules.max_graphemes);
            }
        }
    }
}
