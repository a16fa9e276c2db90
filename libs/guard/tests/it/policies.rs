//! What a guard refuses to be built from.

use countersign_guard::{Access, Error, Guard, Rule, Settings};

use crate::world::{GET, OPEN, RULES, SCHEMA, settings};

fn build(files: &[(&str, &str)]) -> Result<Guard, Error> {
    Guard::builder(settings()).rules(RULES).policies(SCHEMA, files).build()
}

/// The refusal of a file, as an operator reads it.
fn refused(text: &str) -> String {
    build(&[("my.cedar", text)]).err().unwrap().to_string()
}

#[test]
fn a_bad_policy_is_refused_with_file_line_and_reason() {
    for (text, begin, reason) in [
        ("\n\npermit (principal, action, resource;", "my.cedar:3: ", "unexpected token"),
        ("\npermit (principal, action, resource);", "my.cedar:2: ", "no @id"),
        ("\n@id(\"\")\npermit (principal, action, resource);", "my.cedar:2: ", "no @id"),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);",
            "my.cedar:2: ",
            "two policies with @id(\"a\")",
        ),
        (
            "@id(\"a\")\npermit (principal == ?principal, action, resource);",
            "my.cedar:1: ",
            "template",
        ),
        (
            "@id(\"a\")\npermit (principal,\naction == Action::\"test.v1.ThingService/Gone\", resource);",
            "my.cedar:3: ",
            "unrecognized action",
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource is Thing)\nwhen { resource.colour == 1 };",
            "my.cedar:3: ",
            "colour",
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource is Thing)\nwhen { resource.owner.session_age < 9 };",
            "my.cedar:3: ",
            "level",
        ),
        (
            "@id(\"a\")\npermit (principal, action == Action::\"test.v1.ThingService/CountThings\", resource is Thing);",
            "my.cedar:1: ",
            "applicable action",
        ),
        (
            "\n@id(\"a\")\n@step_up(\"factor=otp\")\npermit (principal, action, resource);",
            "my.cedar:2: ",
            "only a forbid can ask for a step-up",
        ),
        (
            "@id(\"a\")\n@step_up\nforbid (principal, action, resource);",
            "my.cedar:1: ",
            "@step_up says what is needed",
        ),
        (
            "\n\n@id(\"a\")\npermit (principal, action, resource is Thing) when { false };",
            "my.cedar:3: ",
            "impossible",
        ),
    ] {
        let refused = refused(text);
        assert!(refused.starts_with(begin), "{refused}\n{text}");
        assert!(refused.contains(reason), "{refused}\n{text}");
    }
}

#[test]
fn a_step_up_that_says_nothing_or_would_not_help_is_refused() {
    let with = |needs: &str| {
        format!(
            "\n@id(\"a\") @step_up(\"{needs}\")\nforbid (principal, action, resource) unless \
             {{ principal.factors.contains(\"otp\") && principal.session_age < 60 }};"
        )
    };
    assert!(build(&[("my.cedar", &with("factor=otp authentication_age<60"))]).is_ok());
    for needs in [
        "otp",
        "factor=",
        "factor=OTP",
        "factor=seventeen-letters",
        "factor=otp  authentication_age<60",
        "factor=otp,authentication_age<60",
        "authentication_age<",
        "authentication_age<soon",
        "authentication_age<0",
        "authentication_age<+60",
        "authentication_age<4294967296",
        "authentication_age<=60",
    ] {
        let refused = refused(&with(needs));
        assert!(refused.starts_with("my.cedar:2: @step_up says what is needed"), "{refused}");
    }
    let refused = refused(&with("factor=hwk"));
    assert!(refused.starts_with("my.cedar:2: @step_up asks for factor=hwk, which"), "{refused}");
}

#[test]
fn an_id_is_unique_across_files() {
    let policy = "@id(\"a\") permit (principal, action, resource);";
    let refused = build(&[("one.cedar", policy), ("two.cedar", policy)]).err().unwrap();
    assert_eq!(refused.to_string(), "two.cedar:1: there are two policies with @id(\"a\")");
}

#[test]
fn without_policies_there_is_a_guard_that_denies() {
    assert!(build(&[]).is_ok());
}

#[test]
fn a_rule_that_does_not_fit_the_schema_is_refused() {
    let rule = |rpc, resource| Rule::new(rpc, Access::Policy { resource });
    let refused = |rules: &[Rule]| {
        let guard = Guard::builder(settings()).rules(rules).policies(SCHEMA, &[]).build();
        guard.err().unwrap().to_string()
    };
    assert!(refused(&[rule("test.v1.ThingService/Gone", "Thing")]).contains("ThingService/Gone"));
    assert!(refused(&[rule(GET, "Service")]).contains("does not apply to `Service`"));
    assert!(refused(&[rule(GET, "no type")]).contains("no name of an entity type"));
    let open = Rule::new(OPEN, Access::Public);
    assert_eq!(refused(&[open, open]), format!("{OPEN} has two rules"));
}

#[test]
fn a_schema_that_does_not_hold_is_refused() {
    let guard = Guard::builder(settings()).policies("entity A in [B];", &[]).build();
    assert!(matches!(guard.err(), Some(Error::Schema(_))));
}

#[test]
fn issuer_audience_and_environment_have_to_be_set() {
    for (name, settings) in [
        ("issuer", Settings { issuer: String::new(), ..settings() }),
        ("audience", Settings { audience: String::new(), ..settings() }),
        ("environment", Settings { environment: String::new(), ..settings() }),
    ] {
        let refused = Guard::builder(settings).policies(SCHEMA, &[]).build().err().unwrap();
        assert_eq!(refused.to_string(), format!("the guard's setting `{name}` is empty"));
    }
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let one = "permit (principal, action, resource);\n\n@id(\"b\") permit (principal, action == Action::\"gone\", resource);";
    let refused = build(&[("one.cedar", one), ("two.cedar", "permit (")]).err().unwrap();
    let Error::Policies(problems) = &refused else { unreachable!("{refused}") };
    let places: Vec<_> = problems.iter().map(|p| (p.file.as_str(), p.line)).collect();
    assert_eq!(places.first(), Some(&("one.cedar", 1)), "{problems:?}");
    assert!(places.contains(&("one.cedar", 3)) && places.contains(&("two.cedar", 1)), "{places:?}");
    assert!(refused.to_string().ends_with("more)") && !refused.to_string().contains('\n'));
}
