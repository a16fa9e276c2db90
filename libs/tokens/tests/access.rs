//! Access tokens: what verifies, and what never does.
#![expect(clippy::unwrap_used, reason = "what stands around a test may panic like the test")]

use std::{sync::LazyLock, time::Duration};

use countersign_tokens::{
    AccountAttributes, AttributeValue, AuthMethods, Binding, Claims, Error, Expect, KeyRing,
    MAX_TOKEN_BYTES, Purpose, RefreshKey, RefreshToken, SigningKey, sign, verify,
};
use countersign_types::{SessionId, Tenant, Timestamp, UserId};
use pasetors::{
    keys::AsymmetricSecretKey,
    version4::{PublicToken, V4},
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

/// One issuer for all cases: making keys is the slow part.
static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::new);

struct Issuer {
    key: SigningKey,
    other_key: SigningKey,
    ring: KeyRing,
    binding: Binding,
    token: String,
}

impl Issuer {
    fn new() -> Self {
        let key = SigningKey::generate().unwrap();
        let other_key = SigningKey::generate().unwrap();
        let ring = KeyRing::default();
        ring.replace(vec![key.verification_key(), other_key.verification_key()]);
        let binding = Binding { environment: "test".to_owned() };
        let token = sign(&key, &binding, &claims()).unwrap();
        Self { key, other_key, ring, binding, token }
    }

    fn verify(&self, token: &str) -> Result<Claims, Error> {
        verify(token, &self.ring, &self.binding).map(|verified| verified.claims)
    }

    /// Signs any payload, with the footer and the binding of a real token.
    fn sign_payload(&self, payload: &str) -> String {
        let key = AsymmetricSecretKey::<V4>::from(&self.key.to_secret_bytes()).unwrap();
        let footer = format!("{{\"kid\":\"{}\"}}", self.key.key_id());
        let assertion = b"countersign:access:test";
        PublicToken::sign(&key, payload.as_bytes(), Some(footer.as_bytes()), Some(assertion))
            .unwrap()
    }
}

fn claims() -> Claims {
    Claims {
        issuer: "https://id.example.org".to_owned(),
        subject: UserId::generate(),
        audience: "countersign".to_owned(),
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus(Duration::from_secs(300)),
        token_id: "0".to_owned(),
        session: SessionId::generate(),
        session_epoch: 3,
        account_epoch: 1,
        auth_time: NOW.minus(Duration::from_secs(60)),
        methods: AuthMethods::default(),
        roles: vec!["admin".to_owned()],
        attributes: AccountAttributes::default(),
        purpose: Purpose::Access,
    }
}

/// The payload of the PASETO that `claims` become, as a text to be tampered with.
fn payload(issuer: &Issuer) -> String {
    let body = issuer.token.strip_prefix("v4.public.").unwrap();
    let (body, _) = body.split_once('.').unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, body);
    let mut bytes = bytes.unwrap();
    bytes.truncate(bytes.len() - 64);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_token_reads_back_what_was_signed() {
    let issuer = &*ISSUER;
    let claims = claims();
    let token = sign(&issuer.key, &issuer.binding, &claims).unwrap();
    let verified = verify(&token, &issuer.ring, &issuer.binding).unwrap();
    assert_eq!(verified.claims, claims);
    assert_eq!(&verified.key_id, issuer.key.key_id());
}

#[test]
fn the_methods_are_written_where_they_are_more_than_the_password() {
    let issuer = &*ISSUER;
    // What a guard from before there were methods refuses is not in such a token,
    // and what such an issuer has left out is the password.
    assert!(!payload(issuer).contains("\"amr\""));
    let methods_of = |amr: &str| {
        let payload = payload(issuer).replace("\"pur\"", &format!("\"amr\":{amr},\"pur\""));
        issuer.verify(&issuer.sign_payload(&payload)).map(|claims| claims.methods.to_string())
    };
    assert_eq!(issuer.verify(&issuer.token).unwrap().methods.to_string(), "pwd");
    assert_eq!(methods_of("[\"pwd\",\"otp\"]").unwrap(), "otp pwd");
    let methods = AuthMethods::new(["otp"]).unwrap();
    let token = sign(&issuer.key, &issuer.binding, &Claims { methods, ..claims() }).unwrap();
    assert_eq!(issuer.verify(&token).unwrap().methods.to_string(), "otp");
    let nine = "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]";
    for bad in ["[]", "[\"\"]", "[\"OTP\"]", "[\"one two\"]", "\"pwd\"", "null", "[1]", nine] {
        assert_eq!(methods_of(bad), Err(Error::Claims), "{bad}");
    }
}

/// The claims that the release knows from which a rolling upgrade begins. A guard
/// refuses any other.
const FORMER: [&str; 13] =
    ["aep", "ath", "aud", "exp", "iat", "iss", "jti", "nbf", "pur", "rol", "sep", "sid", "sub"];

#[test]
fn tokens_are_taken_by_former_guards_and_those_of_former_issuers_here() {
    let issuer = &*ISSUER;
    let written: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&payload(issuer)).unwrap();
    for claim in written.keys() {
        assert!(FORMER.contains(&claim.as_str()), "no former guard knows {claim}");
    }
    let former = "{\"iss\":\"https://id.example.org\",\
        \"sub\":\"0197a1b2-c3d4-7000-8000-00000000000a\",\"aud\":\"countersign\",\
        \"exp\":\"2027-01-15T08:05:00Z\",\"nbf\":\"2027-01-15T07:59:00Z\",\
        \"iat\":\"2027-01-15T08:00:00Z\",\"jti\":\"0\",\
        \"sid\":\"0197a1b2-c3d4-7000-8000-00000000000b\",\"sep\":3,\"aep\":1,\
        \"ath\":\"2027-01-15T08:00:00Z\",\"rol\":[\"admin\"],\"pur\":\"access\"}";
    let read = issuer.verify(&issuer.sign_payload(former)).unwrap();
    assert!(read.methods.is_password_alone() && read.attributes.is_empty());
    assert_eq!((read.roles, read.session_epoch), (vec!["admin".to_owned()], 3));
}

#[test]
fn attributes_are_written_where_there_are_any_and_each_once() {
    let issuer = &*ISSUER;
    // A guard from before there were attributes takes such a token.
    assert!(!payload(issuer).contains("\"att\""));
    let head = payload(issuer).replace("\"pur\"", "\"att\":ATT,\"pur\"");
    let read = |att: &str| issuer.verify(&issuer.sign_payload(&head.replace("ATT", att)));
    let attributes = read("{\"a\":[\"y\",\"x\"],\"b\":-1}").unwrap().attributes;
    let names: Vec<_> = attributes.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    for bad in
        ["{\"a\":1,\"a\":2}", "{\"a\":1.5}", "{\"a\":null}", "{\"a\":{}}", "[]", "{\"a\":[1]}"]
    {
        assert_eq!(read(bad), Err(Error::Claims), "{bad}");
    }
}

#[test]
fn a_tenant_is_an_attribute_unless_it_is_the_default_one() {
    let mut attributes = AccountAttributes::default();
    assert_eq!(attributes.tenant(), Some(Tenant::default()));
    let acme: Tenant = "acme".parse().unwrap();
    attributes.set_tenant(&acme);
    assert_eq!((attributes.tenant(), attributes.is_empty()), (Some(acme), false));
    attributes.set_tenant(&Tenant::default());
    assert!(attributes.is_empty());
    for bad in [AttributeValue::Long(1), AttributeValue::String("No Tenant".to_owned())] {
        attributes.set("tenant", bad);
        assert_eq!(attributes.tenant(), None);
    }
}

#[test]
fn times_are_written_as_the_paseto_specification_demands() {
    let payload = payload(&ISSUER);
    assert!(payload.contains("\"iat\":\"2027-01-15T08:00:00.123456Z\""), "{payload}");
}

#[test]
fn a_token_of_another_environment_or_key_does_not_verify() {
    let issuer = &*ISSUER;
    let elsewhere = Binding { environment: "production".to_owned() };
    let verified = verify(&issuer.token, &issuer.ring, &elsewhere);
    assert_eq!(verified.err(), Some(Error::BadSignature));

    let stranger = SigningKey::generate().unwrap();
    let token = sign(&stranger, &issuer.binding, &claims()).unwrap();
    assert_eq!(issuer.verify(&token), Err(Error::UnknownKey));
}

#[test]
fn a_swapped_footer_does_not_verify() {
    let issuer = &*ISSUER;
    let other = sign(&issuer.other_key, &issuer.binding, &claims()).unwrap();
    let (body, _) = issuer.token.rsplit_once('.').unwrap();
    let (_, footer) = other.rsplit_once('.').unwrap();
    assert_eq!(issuer.verify(&format!("{body}.{footer}")), Err(Error::BadSignature));
    assert_eq!(issuer.verify(body), Err(Error::Malformed));
    assert_eq!(issuer.verify(&format!("{body}.")), Err(Error::Malformed));
    assert_eq!(issuer.verify(&format!("{}.{footer}", issuer.token)), Err(Error::Malformed));
}

#[test]
fn a_key_out_of_the_ring_no_longer_verifies() {
    let issuer = Issuer::new();
    let epoch = issuer.ring.epoch();
    issuer.ring.replace(vec![issuer.other_key.verification_key()]);
    assert_eq!(issuer.verify(&issuer.token), Err(Error::UnknownKey));
    assert!(issuer.ring.epoch() > epoch);
}

#[test]
fn other_kinds_of_paseto_are_refused_by_their_header() {
    let issuer = &*ISSUER;
    let (_, rest) = issuer.token.split_once("v4.public.").unwrap();
    for header in ["v2.public.", "v3.public.", "v4.local.", "V4.public.", "v4.public", ""] {
        assert_eq!(issuer.verify(&format!("{header}{rest}")), Err(Error::Header), "{header}");
    }
}

#[test]
fn a_refresh_token_is_no_access_token_and_the_reverse() {
    let issuer = &*ISSUER;
    let refresh = RefreshKey::from_bytes(&[7; 32]);
    let token = refresh.issue(&RefreshToken { session: SessionId::generate(), generation: 1 });
    assert_eq!(issuer.verify(&token), Err(Error::Header));
    assert_eq!(refresh.check(&issuer.token), Err(Error::TooLarge));
}

#[test]
fn a_token_of_a_megabyte_is_refused_by_its_length() {
    let issuer = &*ISSUER;
    let long = format!("v4.public.{}", "A".repeat(1 << 20));
    assert_eq!(issuer.verify(&long), Err(Error::TooLarge));

    let mut wide = claims();
    wide.roles = vec!["r".repeat(MAX_TOKEN_BYTES)];
    assert_eq!(sign(&issuer.key, &issuer.binding, &wide), Err(Error::TooLarge));
}

#[test]
fn signed_claims_that_are_not_exactly_those_of_an_access_token_are_refused() {
    let issuer = &*ISSUER;
    let good = payload(issuer);
    assert!(issuer.verify(&issuer.sign_payload(&good)).is_ok());

    let head = "{\"iss\":\"https://id.example.org\",";
    for (what, payload) in [
        ("a repeated claim", good.replacen('{', head, 1)),
        ("an unknown claim", good.replacen('{', "{\"cnf\":1,", 1)),
        ("a missing claim", good.replacen("\"sep\":3,", "", 1)),
        ("a claim of another type", good.replacen("\"sep\":3,", "\"sep\":\"3\",", 1)),
        ("a number that does not fit", good.replacen("\"sep\":3,", "\"sep\":1e30,", 1)),
        ("a time that is none", good.replacen("2027-01-15T", "2027-13-45T", 1)),
        ("something behind the claims", format!("{good}{good}")),
        ("no object", "[]".to_owned()),
    ] {
        assert_eq!(issuer.verify(&issuer.sign_payload(&payload)), Err(Error::Claims), "{what}");
    }
    let other = good.replacen("\"pur\":\"access\"", "\"pur\":\"reset\"", 1);
    assert_eq!(issuer.verify(&issuer.sign_payload(&other)), Err(Error::WrongPurpose));
}

#[test]
fn a_time_beyond_what_the_format_can_write_is_not_signed() {
    let mut claims = claims();
    claims.expires_at = Timestamp::from_micros(i64::MAX);
    assert_eq!(sign(&ISSUER.key, &ISSUER.binding, &claims), Err(Error::Claims));
}

#[test]
fn claims_hold_for_their_issuer_audience_and_time_with_leeway() {
    let leeway = Duration::from_secs(5);
    let expect = Expect {
        issuer: "https://id.example.org".to_owned(),
        audience: "countersign".to_owned(),
        leeway,
    };
    let claims = claims();
    let tick = Duration::from_micros(1);
    let at = |now| expect.check(&claims, now);
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(claims.not_before.minus(leeway)), Ok(()));
    assert_eq!(at(claims.not_before.minus(leeway + tick)), Err(Error::NotYetValid));
    assert_eq!(at(claims.expires_at.plus(leeway).minus(tick)), Ok(()));
    assert_eq!(at(claims.expires_at.plus(leeway)), Err(Error::Expired));

    let other = Expect { issuer: "https://id.example.com".to_owned(), ..expect.clone() };
    assert_eq!(other.check(&claims, NOW), Err(Error::WrongIssuer));
    let other = Expect { audience: "payments".to_owned(), ..expect };
    assert_eq!(other.check(&claims, NOW), Err(Error::WrongAudience));
}

proptest! {
    #[test]
    fn a_token_with_one_bit_flipped_never_verifies(at: prop::sample::Index, bit in 0..8u8) {
        let issuer = &*ISSUER;
        let mut bytes = issuer.token.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(token) = String::from_utf8(bytes) {
            prop_assert!(issuer.verify(&token).is_err(), "{}", token);
        }
    }

    #[test]
    fn a_truncated_token_never_verifies(at: prop::sample::Index) {
        let issuer = &*ISSUER;
        let end = at.index(issuer.token.len());
        prop_assert!(issuer.verify(&issuer.token[..end]).is_err());
    }

    #[test]
    fn a_token_with_something_added_never_verifies(at: prop::sample::Index, added in "\\PC{1,8}") {
        let issuer = &*ISSUER;
        let (head, tail) = issuer.token.split_at(at.index(issuer.token.len() + 1));
        let token = format!("{head}{added}{tail}");
        prop_assert!(issuer.verify(&token).is_err());
    }

    #[test]
    fn no_text_makes_the_verifier_panic(
        text in "\\PC{0,64}|v4\\.public\\.[A-Za-z0-9_=+/.-]{0,256}|(v4|public|\\.|[A-Za-z0-9_-]{0,99}|\0){0,9}",
    ) {
        prop_assert!(ISSUER.verify(&text).is_err());
    }

    #[test]
    fn no_signed_payload_makes_the_reader_panic(
        payload in "\\PC{1,64}|\\{(\"(iss|exp|rol|sep|sub)\":(1|null|\"\"|\\[\\]|\"2027-01-15T08:00:00Z\"),?){0,6}\\}",
    ) {
        prop_assert!(ISSUER.verify(&ISSUER.sign_payload(&payload)).is_err());
    }

    #[test]
    fn all_claims_survive_the_way_through_a_token(
        seconds in 0..253_402_300_799_i64,
        micros in 0..1_000_000_i64,
        epoch: i64,
        issuer in "\\PC{1,32}",
        roles in prop::collection::vec("[a-z]{1,12}", 0..6),
        text in "\\PC{0,32}",
        methods in prop::collection::btree_set("[a-z0-9_-]{1,16}", 1..=8),
    ) {
        let mut attributes = AccountAttributes::default();
        if epoch % 4 != 0 {
            attributes.set("level", AttributeValue::Long(epoch));
            attributes.set("on_call", AttributeValue::Bool(epoch < 0));
            attributes.set("sites", AttributeValue::StringSet(roles.iter().cloned().collect()));
            attributes.set("department", AttributeValue::String(text));
        }
        let time = Timestamp::from_micros(seconds * 1_000_000 + micros);
        let claims = Claims {
            issuer,
            roles,
            attributes,
            issued_at: time,
            expires_at: time,
            auth_time: time,
            methods: AuthMethods::new(methods).unwrap(),
            session_epoch: epoch,
            account_epoch: epoch,
            ..claims()
        };
        let token = sign(&ISSUER.key, &ISSUER.binding, &claims).unwrap();
        prop_assert_eq!(ISSUER.verify(&token), Ok(claims));
    }
}
