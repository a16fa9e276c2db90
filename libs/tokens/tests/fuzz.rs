//! Whatever comes as a token is refused, and nothing panics. `make fuzz` runs
//! the same for minutes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what stands around a test may panic like the test"
)]

use std::{sync::LazyLock, time::Duration};

use countersign_tokens::{
    AccountAttributes, AuthMethods, Binding, Claims, KeyId, KeyRing, Purpose, RefreshKey,
    RefreshToken, SigningKey, VerificationKey, sign, verify,
};
use countersign_types::{SessionId, Timestamp, UserId};
use proptest::{prelude::*, sample::Index};

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());
static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let ring = KeyRing::default();
    ring.replace(vec![KEY.verification_key()]);
    ring
});
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let now = Timestamp::from_seconds(1_800_000_000);
    let claims = Claims {
        issuer: "issuer".to_owned(),
        subject: UserId::generate(),
        audience: "audience".to_owned(),
        issued_at: now,
        not_before: now,
        expires_at: now.plus(Duration::from_secs(300)),
        token_id: String::new(),
        session: SessionId::generate(),
        session_epoch: 1,
        account_epoch: 1,
        auth_time: now,
        methods: AuthMethods::default(),
        roles: vec!["admin".to_owned()],
        attributes: AccountAttributes::default(),
        purpose: Purpose::Access,
    };
    sign(&KEY, &binding(), &claims).unwrap()
});

fn binding() -> Binding {
    Binding { environment: "test".to_owned() }
}

/// As many cases as `FUZZ_CASES` says, or those of an ordinary run.
fn cases() -> ProptestConfig {
    let asked = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(512))
}

/// A text with some of its characters replaced, taken out or put in.
fn mutated(text: impl Fn() -> String + 'static) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<Index>(), 0..3_u8, any::<char>()), 1..8);
    edits.prop_map(move |edits| {
        let mut text: Vec<char> = text().chars().collect();
        for (at, edit, character) in edits {
            let at = at.index(text.len() + 1);
            match edit {
                0 if at < text.len() => {
                    text.remove(at);
                }
                1 if at < text.len() => text[at] = character,
                _ => text.insert(at, character),
            }
        }
        text.into_iter().collect()
    })
}

/// A token whose footer is anything.
fn with_footer() -> impl Strategy<Value = String> {
    let kid = KEY.key_id().as_str().to_owned();
    let footers = vec![
        String::new(),
        "{}".to_owned(),
        "{\"kid\":null}".to_owned(),
        format!("{{\"kid\":\"{kid}\"}}"),
        format!("{{\"kid\":\"{kid}\",\"kid\":\"{kid}\"}}"),
        format!("{{\"kid\":\"\\u006b{}\"}}", &kid[1..]),
        "{\"kid\":".repeat(20),
        "[".repeat(100),
    ];
    let bytes = prop_oneof![
        any::<Vec<u8>>(),
        prop::sample::select(footers).prop_map(String::into_bytes),
        mutated(move || format!("{{\"kid\":\"{kid}\"}}")).prop_map(String::into_bytes),
    ];
    bytes.prop_map(|footer| {
        let body = TOKEN.rsplit_once('.').unwrap().0;
        format!("{body}.{}", base64(&footer))
    })
}

/// base64url without padding (RFC 4648, section 5).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |value: u32| char::from(DIGITS[(value & 63) as usize]);
    let three = |chunk: &[u8]| {
        let mut block = [0; 4];
        block[1..=chunk.len()].copy_from_slice(chunk);
        let block = u32::from_be_bytes(block);
        let digits = [block >> 18, block >> 12, block >> 6, block].map(digit);
        digits.into_iter().take(chunk.len() + 1).collect::<String>()
    };
    bytes.chunks(3).map(three).collect()
}

#[test]
fn the_token_that_is_mutated_here_holds() {
    assert!(verify(&TOKEN, &RING, &binding()).is_ok());
    let (body, footer) = TOKEN.rsplit_once('.').unwrap();
    let kid = format!("{{\"kid\":\"{}\"}}", KEY.key_id().as_str());
    assert_eq!(format!("{body}.{}", base64(kid.as_bytes())), format!("{body}.{footer}"));
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_text_but_a_token_verifies(text in prop_oneof![
        any::<String>(),
        "v4\\.public\\.[A-Za-z0-9_-]{0,400}(\\.[A-Za-z0-9_-]{0,200})?",
        mutated(|| TOKEN.clone()),
        with_footer(),
    ]) {
        prop_assume!(text != *TOKEN);
        prop_assert!(verify(&text, &RING, &binding()).is_err());
    }

    #[test]
    fn no_text_but_a_refresh_token_is_one(bytes: [u8; 32], text in any::<String>()) {
        let key = RefreshKey::from_bytes(&bytes);
        prop_assert!(key.check(&text).is_err());
        let token = key.issue(&RefreshToken { session: SessionId::generate(), generation: 7 });
        prop_assert!(key.check(&token).is_ok());
        let longer = token.clone() + &text;
        prop_assert!(key.check(&longer).is_err() || text.is_empty());
        for end in (0..token.len()).filter(|end| token.is_char_boundary(*end)) {
            prop_assert!(key.check(&token[..end]).is_err());
        }
    }

    #[test]
    fn keys_and_their_names_are_read_without_a_panic(text in prop_oneof![
        any::<String>(),
        mutated(|| KEY.verification_key().paserk()),
        mutated(|| KEY.key_id().as_str().to_owned()),
    ]) {
        let _ = VerificationKey::from_paserk(&text);
        if let Ok(id) = KeyId::parse(&text) {
            prop_assert_eq!(id.as_str(), text);
        }
    }
}
