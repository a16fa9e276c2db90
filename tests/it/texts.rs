//! Texts that attack, and texts that only look as if they did: through the API,
//! in every place where people can write.

use countersign_contracts::{
    auth::v1::{ListSessionsRequest, LoginRequest, RegisterRequest, Session},
    user::v1::Profile,
};
use countersign_tests::{Login, PASSWORD, TestApp, Topology, on_every_topology, refusal};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tonic::{Code, Status};

/// What may be written anywhere, and comes back byte for byte.
const KEPT: &[&str] = &[
    // Markup and statements are texts like any other.
    "<script>alert('1')</script>",
    "<img src=x onerror=alert(1)>",
    "Robert'); DROP TABLE accounts;--",
    "\" OR \"\"=\"",
    "${jndi:ldap://x/a} {{7*7}} %s %n",
    "../../etc/passwd \\..\\",
    "=HYPERLINK(1)",
    "{\"a\": [1, null]}",
    // Scripts of the world, from right to left as well.
    "محمود درويش",
    "שְׁמוּאֵל",
    "Ada محمود 123",
    "क्षेमेन्द्र",
    "村上 春樹",
    // Families, flags and keycaps are one character each.
    "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "🇺🇦 1\u{fe0f}\u{20e3}",
    // Letters that look like others are letters: nobody is known by a name here.
    "раypal",
    "ᎪᎠᎪ",
];

/// What is refused anywhere.
const REFUSED: &[&str] = &[
    "Ada\u{202e}nimda",
    "\u{2066}Ada\u{2069}",
    "Ada\u{200f}",
    "A\u{200b}da",
    "Ada\u{feff}",
    "A\u{ad}da",
    "Ada\0",
    "Ada\u{1b}[2J",
    "A\u{85}da",
    "A\u{2028}da",
    "Ada\u{e000}",
    "Ada\u{fdd0}",
    "Ada\u{e0041}\u{e0042}",
    "\u{115f}",
];

/// A letter under so many marks.
fn zalgo(marks: usize) -> String {
    format!("A{}da", "\u{301}\u{323}".repeat(marks / 2))
}

async fn written(ada: &Login, text: &str) -> Result<Profile, Status> {
    let text = text.to_owned();
    let profile = Profile {
        display_name: text.clone(),
        given_name: text.clone(),
        family_name: text.clone(),
        bio: text.clone(),
        metadata: [("note".to_owned(), text)].into(),
        ..Profile::default()
    };
    let paths = ["display_name", "given_name", "family_name", "bio", "metadata"];
    ada.clients.update(profile, &paths).await
}

/// All that the profile says, each place once.
fn texts(profile: &Profile) -> [&str; 5] {
    let Profile { display_name, given_name, family_name, bio, metadata, .. } = profile;
    [display_name, given_name, family_name, bio, &metadata["note"]]
}

async fn labelled(app: &TestApp, email: &str, label: &str) -> Result<Session, Status> {
    let (email, password) = (email.to_owned(), PASSWORD.to_owned());
    let device_label = label.to_owned();
    let request = LoginRequest { email, password, device_label, ..LoginRequest::default() };
    Ok(app.clients().auth().login(request).await?.into_inner().session.unwrap())
}

async fn what_only_looks_dangerous_comes_back_byte_for_byte(topology: Topology) {
    let app = TestApp::on(topology).await;
    let person = app.active("ada").await;
    let ada = app.login(&person).await;
    for text in KEPT {
        let after = written(&ada, text).await.unwrap_or_else(|status| panic!("{text}: {status}"));
        assert_eq!(texts(&after), [*text; 5]);
        assert_eq!(texts(&ada.clients.profile("me").await.unwrap()), [*text; 5]);
    }
    for text in KEPT.iter().step_by(3) {
        assert_eq!(labelled(&app, &person.email, text).await.unwrap().device_label, *text);
    }
    let list = ListSessionsRequest { user_id: "me".to_owned(), ..Default::default() };
    let listed = ada.clients.sessions().list_sessions(list).await.unwrap().into_inner().sessions;
    for text in KEPT.iter().step_by(3) {
        assert!(listed.iter().any(|session| session.device_label == *text), "{text}");
    }
}

async fn what_hides_or_disturbs_is_refused_in_every_place(topology: Topology) {
    let app = TestApp::on(topology).await;
    let person = app.active("ada").await;
    let ada = app.login(&person).await;
    let before = ada.clients.profile("me").await.unwrap();
    let places = [
        "profile.bio",
        "profile.display_name",
        "profile.family_name",
        "profile.given_name",
        "profile.metadata[\"note\"]",
    ];
    let piles = [zalgo(10), zalgo(400)];
    for text in REFUSED.iter().copied().chain(piles.iter().map(String::as_str)) {
        let refused = refusal(written(&ada, text).await);
        let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
        let mut fields = refused.fields();
        fields.dedup();
        assert_eq!(fields, places, "{text:?}");
        if text.chars().count() <= 100 {
            let refused = refusal(labelled(&app, &person.email, text).await);
            let refused = refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
            assert!(refused.fields().iter().all(|field| *field == "device_label"), "{text:?}");
        }
    }
    assert_eq!(ada.clients.profile("me").await.unwrap(), before);
}

async fn ten_thousand_marks_and_huge_metadata_cost_a_refusal(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let before = ada.clients.profile("me").await.unwrap();
    let marks = refusal(written(&ada, &zalgo(10_000)).await);
    let marks = marks.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    assert!(marks.fields().contains(&"profile.display_name"), "{marks:?}");
    // Fits into the bytes of a biography, and is no text all the same.
    let bio = Profile { bio: zalgo(6_000), ..Profile::default() };
    let refused = refusal(ada.clients.update(bio, &["bio"]).await);
    assert!(
        refused.is(Code::InvalidArgument, "INVALID_ARGUMENT").fields().contains(&"profile.bio")
    );

    let entries = |count: usize, length: usize| Profile {
        metadata: (0..count).map(|n| (format!("k{n}"), "x".repeat(length))).collect(),
        ..Profile::default()
    };
    for huge in [entries(65, 1), entries(1, 1_025), entries(800, 1_000)] {
        let refused = refusal(ada.clients.update(huge, &["metadata"]).await);
        refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    assert_eq!(ada.clients.profile("me").await.unwrap(), before);
    let whole = entries(64, 1_024);
    let kept = ada.clients.update(whole.clone(), &["metadata"]).await.unwrap();
    assert_eq!(kept.metadata, whole.metadata);
}

async fn an_address_is_one_in_any_spelling_and_never_another(topology: Topology) {
    let app = TestApp::on(topology).await;
    app.active("ada").await;
    let register = async |email: &str| {
        let (email, password) = (email.to_owned(), PASSWORD.to_owned());
        app.clients().auth().register(RegisterRequest { email, password }).await
    };
    for same in ["ADA@example.org", "ada@EXAMPLE.org", "ada@ex\u{ff41}mple.org"] {
        refusal(register(same).await).is(Code::AlreadyExists, "EMAIL_TAKEN");
    }
    for wrong in ["ada\u{202e}@example.org", "a\u{200b}da@example.org", "ada@exa\u{301}\0mple.org"]
    {
        refusal(register(wrong).await).is(Code::InvalidArgument, "INVALID_ARGUMENT");
    }
}

/// What the contract says that normalisation does.
fn normal(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.replace("\r\n", "\n").trim().nfc().collect()
}

#[tokio::test]
async fn whatever_is_accepted_comes_back_in_its_normal_form() {
    let app = TestApp::start().await;
    let ada = app.signed_in("ada").await;
    let mut runner = TestRunner::deterministic();
    let texts = proptest::string::string_regex(
        "(\\PC|[a-z]|[\u{300}-\u{36f}]|[\u{200c}-\u{200f}]|[\u{202a}-\u{202e}]| |\\r\\n|\\n|\u{fe0f}|👩|😀){1,20}",
    )
    .unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..400 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        let profile = Profile { bio: text.clone(), ..Profile::default() };
        match ada.clients.update(profile, &["bio"]).await {
            Ok(after) => {
                accepted += 1;
                assert_eq!(after.bio, normal(&text), "{text:?}");
                let again = ada.clients.update(after.clone(), &["bio"]).await.unwrap();
                assert_eq!(again.bio, after.bio, "its normal form is its own: {text:?}");
            }
            Err(status) => {
                refused += 1;
                refusal::<()>(Err(status)).is(Code::InvalidArgument, "INVALID_ARGUMENT");
            }
        }
    }
    assert!(accepted > 20 && refused > 20, "{accepted} accepted, {refused} refused");
}

on_every_topology![
    what_only_looks_dangerous_comes_back_byte_for_byte,
    what_hides_or_disturbs_is_refused_in_every_place,
    ten_thousand_marks_and_huge_metadata_cost_a_refusal,
    an_address_is_one_in_any_spelling_and_never_another,
];
