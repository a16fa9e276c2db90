//! Whatever a request or a policy file holds, the guard answers, and nothing
//! panics. `make fuzz` runs the same for minutes.

use std::sync::LazyLock;

use countersign_guard::Guard;
use proptest::{prelude::*, sample::Index};
use tonic::Code;

use crate::world::{COUNT, Named, POLICIES, RULES, SCHEMA, World, settings};

/// A world with a token of the owner and one of an administrator.
static WORLD: LazyLock<(World, String, String)> = LazyLock::new(|| {
    let world = World::default();
    let (owner, admin) = (world.token(), world.token_of_role(&["admin"]));
    (world, owner, admin)
});

/// A world whose policies ask whose certificate a connection has.
static PEERS: LazyLock<(World, String)> = LazyLock::new(|| {
    let policy = r#"
        @id("of-a-peer")
        permit (principal, action == Action::"test.v1.ThingService/CountThings", resource)
        when {
            context.peer.names.contains("*")
            || (context.peer has spiffe_id && context.peer.spiffe_id like "spiffe://a/*")
        };"#;
    let world = World::with(|builder| builder.policies(SCHEMA, &[("peers.cedar", policy)]));
    let token = world.token();
    (world, token)
});

/// As many cases as `FUZZ_CASES` says, or those of an ordinary run.
pub fn cases(ordinary: u32) -> ProptestConfig {
    let asked = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(ordinary))
}

/// The policies with some of their words replaced, taken out or doubled.
fn mutated_policies() -> impl Strategy<Value = String> {
    let words = [
        "permit",
        "forbid",
        "(",
        ")",
        "{",
        "}",
        ";",
        "principal",
        "action",
        "resource",
        "when",
        "unless",
        "==",
        "in",
        "is",
        "has",
        "like",
        "&&",
        "||",
        "!",
        "if",
        "then",
        "else",
        "true",
        "@id(\"a\")",
        "@step_up(\"factor=otp\")",
        "principal.factors",
        "context.peer.spiffe_id",
        "\"\"",
        "?principal",
        "[",
        "]",
        ".",
        "owner",
        "9223372036854775808",
        "-1",
        "Action::\"reads\"",
        "User::\"x\"",
        "ip(\"::1\")",
        "decimal(\"1.0\")",
        "\u{0}",
        "é",
        "\\",
    ];
    let edits = prop::collection::vec(
        (any::<Index>(), 0..3_u8, prop::sample::select(words.to_vec())),
        1..6,
    );
    edits.prop_map(|edits| {
        let mut text: Vec<&str> = POLICIES.split_inclusive([' ', '\n', '(', ')', ',']).collect();
        for (at, edit, word) in edits {
            let at = at.index(text.len());
            match edit {
                0 => {
                    text.remove(at);
                }
                1 => drop(text.splice(at..=at, [word])),
                _ => text.insert(at, word),
            }
        }
        text.concat()
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_authorization_is_answered(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..5000),
            "(?i)bearer [ -~]{0,200}".prop_map(String::into_bytes),
            "Bearer v4\\.public\\.[A-Za-z0-9_=-]{0,5000}(\\.[A-Za-z0-9_-]{0,200}){0,3}".prop_map(String::into_bytes),
        ],
        rpc in prop_oneof![
            prop::sample::select(RULES.to_vec()).prop_map(|rule| rule.rpc.to_owned()),
            "[ -~&&[^?#<>\"{}|^`\\\\]]{0,60}",
        ],
        id in any::<String>(),
    ) {
        let Ok(value) = http::HeaderValue::from_bytes(&value) else { return Ok(()) };
        let request = http::Request::post(format!("http://test/{rpc}")).header("authorization", value);
        let Ok(request) = request.body(Named { id: id.replace('!', ""), note: String::new() }) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(WORLD.0.serve(request));
        let code = answer.err().map_or(Code::Ok, |status| status.code());
        // Only what anybody may call is answered.
        prop_assert!(
            matches!(code, Code::Unauthenticated | Code::Unimplemented)
                || (code == Code::Ok && rpc == crate::world::OPEN),
            "{} {:?}", rpc, code
        );
    }

    #[test]
    fn any_certificate_is_decided(
        names in prop::collection::vec(prop_oneof![any::<String>(), "spiffe://[ab]/.{0,9}"], 0..5),
    ) {
        let (world, token) = &*PEERS;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let answer = runtime.block_on(world.call_from(&names, COUNT, token, ""));
        let ids: Vec<_> = names.iter().filter(|name| name.starts_with("spiffe://")).collect();
        let is_let_in = names.contains(&"*")
            || matches!(ids.as_slice(), [id] if id.starts_with("spiffe://a/"));
        prop_assert_eq!(answer.is_ok(), is_let_in, "{:?}", names);
        if let Err(status) = answer {
            prop_assert_eq!(status.code(), Code::PermissionDenied);
        }
    }

    #[test]
    fn any_resource_id_is_decided(id in any::<String>(), own: bool) {
        let (world, owner, admin) = &*WORLD;
        let token = if own { owner } else { admin };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for rule in RULES.iter().filter(|rule| rule.rpc != crate::world::OPEN) {
            let named = id.replace('!', "");
            if let Err(status) = runtime.block_on(world.call(rule.rpc, token, &named)) {
                prop_assert_eq!(status.code(), Code::PermissionDenied);
            }
        }
    }

}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn any_policy_file_is_taken_or_refused(text in prop_oneof![mutated_policies(), any::<String>()]) {
        let guard = Guard::builder(settings()).rules(RULES).policies(SCHEMA, &[("any.cedar", &text)]);
        if let Err(refused) = guard.build() {
            let lines = text.lines().count();
            let refused = refused.to_string();
            let line = refused.strip_prefix("any.cedar:").and_then(|rest| rest.split_once(':'));
            let line: usize = line.unwrap_or_else(|| panic!("{refused}")).0.parse().unwrap();
            prop_assert!(line >= 1 && line <= lines + 1, "{} of {}", line, lines);
        }
    }

    #[test]
    fn any_step_up_is_taken_or_refused(
        needs in prop_oneof![
            any::<String>(),
            "(factor=|authentication_age<)[ -~]{0,18}( (factor=otp|authentication_age<[0-9]{1,11})){0,2}",
        ],
    ) {
        let text = format!(
            "@id(\"a\") @step_up(\"{}\") forbid (principal, action, resource) unless \
             {{ principal.factors.contains(\"otp\") && principal.session_age < 9 }};",
            needs.escape_debug()
        );
        let guard = Guard::builder(settings()).rules(RULES).policies(SCHEMA, &[("any.cedar", &text)]);
        if let Err(refused) = guard.build() {
            let refused = refused.to_string();
            prop_assert!(refused.starts_with("any.cedar:1: @step_up "), "{}", refused);
        }
    }

    #[test]
    fn any_schema_is_taken_or_refused(cut in any::<Index>(), length in 0..40_usize, text in any::<String>()) {
        let mut schema = SCHEMA.to_owned();
        let at = cut.index(schema.len());
        let end = (at + length).min(schema.len());
        schema.replace_range(at..end, &text);
        let _ = Guard::builder(settings()).rules(RULES).policies(&schema, &[]).build();
    }
}
