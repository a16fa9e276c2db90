//! What the contracts of Countersign promise whatever a handler does.

use countersign_contracts::{
    DESCRIPTOR_SET,
    auth::v1::{ListSessionsRequest, LoginRequest, LoginResponse, RegisterRequest},
    user::v1::{GetProfileRequest, Profile, UpdateProfileRequest},
};
use countersign_types::Validate;
use prost_reflect::DescriptorPool;

/// The broken rules as `field rule`.
fn broken(message: &impl Validate) -> Vec<String> {
    let violations = message.validate();
    violations.iter().map(|broken| format!("{} {}", broken.field, broken.rule)).collect()
}

#[test]
fn every_broken_rule_of_a_request_is_told_at_once_with_its_path() {
    assert_eq!(
        broken(&RegisterRequest::default()),
        ["email string.min_len", "password string.min_len"]
    );
    let profile = Profile {
        display_name: "x".repeat(1025),
        metadata: [("Key".to_owned(), "x".repeat(1025))].into(),
        ..Profile::default()
    };
    let update = UpdateProfileRequest { profile: Some(profile), ..UpdateProfileRequest::default() };
    assert_eq!(
        broken(&update),
        [
            "user_id string.pattern",
            "profile.display_name string.max_bytes",
            "profile.metadata[\"Key\"] string.pattern",
            "profile.metadata[\"Key\"] string.max_bytes",
        ]
    );
}

#[test]
fn a_user_is_named_by_a_canonical_id_or_as_me() {
    for (user_id, fine) in [
        ("me", true),
        ("0197a1b2-c3d4-7000-8000-00000000000a", true),
        ("0197A1B2-C3D4-7000-8000-00000000000A", false),
        ("me\n", false),
        ("", false),
    ] {
        let request = GetProfileRequest { user_id: user_id.to_owned() };
        assert_eq!(broken(&request).is_empty(), fine, "{user_id:?}");
    }
}

#[test]
fn a_page_has_no_negative_size_and_no_more_than_a_hundred() {
    for (page_size, fine) in [(0, true), (100, true), (-1, false), (101, false)] {
        let user_id = "me".to_owned();
        let request = ListSessionsRequest { user_id, page_size, ..ListSessionsRequest::default() };
        assert_eq!(broken(&request).is_empty(), fine, "{page_size}");
    }
}

#[test]
fn an_update_without_a_profile_is_refused() {
    let update =
        UpdateProfileRequest { user_id: "me".to_owned(), ..UpdateProfileRequest::default() };
    assert_eq!(broken(&update), ["profile required"]);
}

#[test]
fn no_secret_and_no_address_shows_in_debug_output() {
    let request = LoginRequest {
        email: "ada@example.org".to_owned(),
        password: "correct horse".to_owned(),
        device_label: "laptop".to_owned(),
        device_token: "csd1_x".to_owned(),
    };
    assert_eq!(
        format!("{request:?}"),
        "LoginRequest { email: hidden, password: hidden, device_label: hidden, device_token: hidden }"
    );
    let response =
        LoginResponse { access_token: "v4.public.x".to_owned(), ..LoginResponse::default() };
    assert!(!format!("{response:?}").contains("v4.public"), "{response:?}");
}

#[test]
fn every_field_that_carries_a_secret_or_an_address_is_kept_out_of_debug_output() {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).expect("a descriptor set");
    let ours =
        pool.all_messages().filter(|message| message.full_name().starts_with("countersign."));
    for field in ours.flat_map(|message| message.fields().collect::<Vec<_>>()) {
        if ["email", "password", "access_token", "refresh_token", "device_token"]
            .contains(&field.name())
        {
            let options = field.options();
            let redacted =
                options.get_field_by_name("debug_redact").and_then(|value| value.as_bool());
            assert_eq!(redacted, Some(true), "{}", field.full_name());
        }
    }
}
