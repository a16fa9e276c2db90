//! Attributes of accounts: declared, bounded, and in tokens only where a policy
//! reads them.

use std::collections::BTreeMap;

use countersign_contracts::{
    auth::v1::{
        Account, AttributeValue, GetAccountRequest, SetAccountAttributesRequest, StringSet,
        attribute_value::Kind,
    },
    events::v1::{AccountAttributesChanged, TokensOutdated},
};
use countersign_guard::AttributeKinds;
use countersign_types::Tenant;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::stage::{PASSWORD, Set, Stage, config, reason, with_token};

/// Whoever is of the department `audit` sees every account of the tenant.
const AUDIT: &str = r#"
@id("audit-reads")
permit (
    principal,
    action == Action::"countersign.auth.v1.AccountService/GetAccount",
    resource is Account
)
when { principal has department && principal.department == "audit" };
"#;

struct Office {
    stage: Stage,
    root: String,
    ada: String,
}

async fn office(policies: &[&str], read_elsewhere: &[&'static str]) -> Office {
    let mut set = Set::new(config()).await;
    let declared = ["department:string", "level: long", "on_call:bool", "sites:strings"];
    set.attributes = AttributeKinds::parse(declared).unwrap();
    set.policies = policies.iter().map(|&text| text.to_owned()).collect();
    set.read_elsewhere = read_elsewhere.to_vec();
    let stage = set.start().await.unwrap();
    let (email, roles) = ("root@example.org", vec!["admin".to_owned()]);
    let set = &stage.set;
    let (address, password) = (email.to_owned(), PASSWORD.to_owned());
    let tenant = Tenant::default();
    let keeper = set.keeper().await;
    let made = keeper.create_account(&set.config, address, password, roles, tenant);
    let root = made.await.unwrap().to_string();
    stage.profile_created(&root).await;
    let root = stage.login(email, PASSWORD).await.unwrap().access_token;
    let ada = stage.person("ada@example.org").await;
    Office { stage, root, ada }
}

impl Office {
    async fn set(&self, attributes: &[(&str, Kind)], remove: &[&str]) -> Result<Account, Status> {
        let value = |kind: &Kind| AttributeValue { kind: Some(kind.clone()) };
        let attributes: BTreeMap<_, _> =
            attributes.iter().map(|(name, kind)| ((*name).to_owned(), value(kind))).collect();
        let request = SetAccountAttributesRequest {
            user_id: self.ada.clone(),
            attributes: attributes.into_iter().collect(),
            remove_attributes: remove.iter().map(|&name| name.to_owned()).collect(),
            etag: String::new(),
        };
        let mut accounts = self.stage.accounts();
        let answer = accounts.set_account_attributes(with_token(&self.root, request)).await?;
        Ok(answer.into_inner().account.unwrap())
    }

    async fn get(&self, token: &str, user_id: &str) -> Result<Account, Status> {
        let request = GetAccountRequest { user_id: user_id.to_owned() };
        let answer = self.stage.accounts().get_account(with_token(token, request)).await?;
        Ok(answer.into_inner().account.unwrap())
    }
}

fn text(value: &str) -> Kind {
    Kind::StringValue(value.to_owned())
}

/// What a token says in clear; its payload is signed, not sealed.
fn payload(token: &str) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let body = token.split('.').nth(2).unwrap();
    String::from_utf8_lossy(&BASE64_URL_SAFE_NO_PAD.decode(body).unwrap()).into_owned()
}

#[tokio::test]
async fn a_policy_reads_an_attribute_as_soon_as_it_is_set_and_no_longer() {
    let office = office(&[AUDIT], &[]).await;
    let bob = office.stage.person("bob@example.org").await;
    let before = office.stage.login("ada@example.org", PASSWORD).await.unwrap();
    let denied = office.get(&before.access_token, &bob).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);

    office.set(&[("department", text("audit"))], &[]).await.unwrap();
    let outdated = office.get(&before.access_token, &bob).await.unwrap_err();
    assert_eq!(reason(&outdated), "TOKEN_OUTDATED");
    let after = office.stage.refresh(&before.refresh_token).await.unwrap();
    office.get(&after.access_token, &bob).await.unwrap();

    office.set(&[], &["department"]).await.unwrap();
    let outdated = office.get(&after.access_token, &bob).await.unwrap_err();
    assert_eq!(reason(&outdated), "TOKEN_OUTDATED");
    let last = office.stage.refresh(&after.refresh_token).await.unwrap();
    let denied = office.get(&last.access_token, &bob).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_token_carries_what_policies_read_here_or_elsewhere_and_nothing_else() {
    let all = [("department", text("canary-department")), ("level", Kind::LongValue(7_654_321))];
    for (policies, elsewhere, carried) in [
        (&[][..], &[][..], [false, false]),
        (&[AUDIT], &[], [true, false]),
        (&[], &["level"], [false, true]),
        (&[AUDIT], &["level"], [true, true]),
    ] {
        let office = office(policies, elsewhere).await;
        office.set(&all, &[]).await.unwrap();
        let login = office.stage.login("ada@example.org", PASSWORD).await.unwrap();
        let refreshed = office.stage.refresh(&login.refresh_token).await.unwrap();
        for token in [login.access_token, refreshed.access_token] {
            let said = payload(&token);
            assert_eq!([said.contains("canary-department"), said.contains("7654321")], carried);
        }
    }
}

#[tokio::test]
async fn attributes_are_kept_by_name_and_change_an_epoch_only_where_they_change() {
    let office = office(&[], &[]).await;
    let sites = Kind::StringSet(StringSet { values: vec!["graz".to_owned(), "bonn".to_owned()] });
    let set = [("level", Kind::LongValue(3)), ("on_call", Kind::BoolValue(true)), ("sites", sites)];
    office.set(&set, &[]).await.unwrap();
    let account = office.set(&[("level", Kind::LongValue(4))], &["on_call"]).await.unwrap();
    let held = office.get(&office.root, &office.ada).await.unwrap();
    assert_eq!(held, account);
    assert_eq!(held.attributes.keys().collect::<Vec<_>>(), ["level", "sites"]);
    assert_eq!(held.attributes["level"].kind, Some(Kind::LongValue(4)));
    let sorted = StringSet { values: vec!["bonn".to_owned(), "graz".to_owned()] };
    assert_eq!(held.attributes["sites"].kind, Some(Kind::StringSet(sorted)));

    assert_eq!(office.set(&[("level", Kind::LongValue(4))], &["on_call"]).await.unwrap(), account);
    assert_eq!(office.stage.set.events::<TokensOutdated>().await, 2);
    assert_eq!(office.stage.set.events::<AccountAttributesChanged>().await, 2);
    let events = "SELECT group_concat(hex(data)) FROM outbox WHERE kind LIKE '%AttributesChanged'";
    let events = office.stage.set.text(events).await;
    let names = |name: &str| events.contains(&hex(name));
    assert!(names("sites") && names("on_call") && !names("graz"), "names, and never values");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

#[tokio::test]
async fn what_is_not_declared_or_too_much_is_refused_with_its_field() {
    let office = office(&[], &[]).await;
    let long = text(&"x".repeat(257));
    let crowd = Kind::StringSet(StringSet { values: (0..17).map(|n| n.to_string()).collect() });
    for (set, remove, field) in [
        (vec![("height", text("tall"))], vec![], "attributes[\"height\"]"),
        (vec![("tenant", text("acme"))], vec![], "attributes[\"tenant\"]"),
        (vec![("level", text("high"))], vec![], "attributes[\"level\"]"),
        (vec![("level", Kind::LongValue(1))], vec!["level"], "attributes[\"level\"]"),
        (vec![("department", long)], vec![], "attributes[\"department\"].string_value"),
        (vec![("sites", crowd)], vec![], "attributes[\"sites\"].string_set.values"),
        (vec![("Level", Kind::LongValue(1))], vec![], "attributes[\"Level\"]"),
    ] {
        let refused = office.set(&set, &remove).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        let details = refused.get_details_bad_request().unwrap();
        let fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, [field]);
    }
    let none = SetAccountAttributesRequest {
        user_id: office.ada.clone(),
        attributes: [("level".to_owned(), AttributeValue { kind: None })].into(),
        ..SetAccountAttributesRequest::default()
    };
    assert!(none.encoded_len() > 0);
    let mut accounts = office.stage.accounts();
    let refused = accounts.set_account_attributes(with_token(&office.root, none)).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    assert!(office.get(&office.root, &office.ada).await.unwrap().attributes.is_empty());
}
