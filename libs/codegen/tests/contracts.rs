//! What does not build: each fault of a contract, on small protos, with the
//! words in which its author hears of it.

#![expect(clippy::expect_used, reason = "a helper that fails, fails its test")]

use std::{fs, path::Path};

use countersign_codegen::Contracts;
use tempfile::TempDir;

/// Two services that are right, for the tests to break.
const SHOP: &str = r#"
syntax = "proto3";
package acme.shop.v1;

import "buf/validate/validate.proto";
import "countersign/policy/v1/rule.proto";

service ShopService {
  option (countersign.policy.v1.resource) = {
    type: "Basket"
    attributes: [{ name: "owner" type: ATTRIBUTE_TYPE_USER }]
  };

  // Lists what is sold.
  rpc ListGoods(ListGoodsRequest) returns (ListGoodsResponse) {
    option (countersign.policy.v1.rule) = { public: {} };
  }
  // Reads a basket.
  rpc GetBasket(GetBasketRequest) returns (GetBasketResponse) {
    option (countersign.policy.v1.rule) = { policy: { resource: "Basket" id_field: "basket_id" } };
  }
}

message ListGoodsRequest {}
message ListGoodsResponse {}
message GetBasketRequest {
  string basket_id = 1 [(buf.validate.field).string.uuid = true];
  int32 count = 2;
  repeated string others = 3;
  Inner inner = 4;
  message Inner {
    optional string id = 1;
  }
}
message GetBasketResponse {}
"#;

const OWNER: &str = r#"
@id("basket-owner")
permit (principal, action == Action::"acme.shop.v1.ShopService/GetBasket", resource is Basket)
when { resource.owner == principal };
"#;

/// A crate with the proto and the policy: compiles them, gives what is written
/// or what is wrong.
struct Attempt {
    folder: TempDir,
}

impl Attempt {
    fn new(proto: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        write(&folder.path().join("proto/acme/shop/v1/shop.proto"), proto);
        fs::create_dir_all(folder.path().join("out")).expect("a folder");
        Self { folder }
    }

    fn policy(self, text: &str) -> Self {
        write(&self.folder.path().join("policies/shop.cedar"), text);
        self
    }

    fn compile(&self) -> Result<(), String> {
        let path = self.folder.path();
        let mut contracts = Contracts::new(path.join("proto")).out_dir(path.join("out"));
        if path.join("policies").exists() {
            contracts = contracts.policies(path.join("policies"));
        }
        contracts.compile().map_err(|error| error.to_string())
    }

    fn written(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join("out").join(file)).expect("a written file")
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Compiles the shop with one part of it replaced; the error has to hold `expected`.
#[track_caller]
fn refused(part: &str, replacement: &str, expected: &str) {
    assert!(SHOP.contains(part), "the shop has no {part:?}");
    let error = Attempt::new(&SHOP.replace(part, replacement)).compile().expect_err("a refusal");
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_contract_that_holds_is_compiled_with_everything() {
    let attempt = Attempt::new(SHOP).policy(OWNER);
    attempt.compile().expect("compiled");
    let root = attempt.written("contracts.rs");
    assert!(root.contains("acme.shop.v1.ShopService/GetBasket"), "{root}");
    assert!(root.contains("entity Basket"), "{root}");
    assert!(root.contains("basket-owner"), "{root}");
    assert!(attempt.written("schema.cedarschema").contains("entity Basket"));
    let package = attempt.written("acme.shop.v1.rs");
    for part in
        ["pub trait ShopService", "pub fn shop_service<H", "ShopServiceClient", "string.uuid"]
    {
        assert!(package.contains(part), "{part}");
    }
}

#[test]
fn an_rpc_without_a_rule_is_refused() {
    refused(
        "option (countersign.policy.v1.rule) = { public: {} };",
        "",
        "acme/shop/v1/shop.proto: ShopService.ListGoods: has no rule",
    );
    refused(
        "{ public: {} }",
        "{}",
        "ShopService.ListGoods: its rule is none of public, policy and list",
    );
}

#[test]
fn a_list_is_of_resources_that_are_declared() {
    refused(
        "{ public: {} }",
        "{ list: { resource: \"Nothing\" } }",
        "ShopService.ListGoods: rule lists the resource \"Nothing\", which no service declares",
    );
    let shop = SHOP.replace("{ public: {} }", "{ list: { resource: \"Basket\" } }");
    let attempt = Attempt::new(&shop).policy(OWNER);
    attempt.compile().expect("compiled");
    let root = attempt.written("contracts.rs");
    assert!(root.contains("Access::List"), "{root}");
    let package = attempt.written("acme.shop.v1.rs");
    assert!(package.contains("ListCall") && package.contains("enter_list("), "{package}");
}

#[test]
fn a_rule_whose_field_does_not_exist_or_has_the_wrong_type_is_refused() {
    let place = "acme/shop/v1/shop.proto: ShopService.GetBasket: rule";
    for (field, reason) in [
        ("baskt_id", "names the field \"baskt_id\", which GetBasketRequest does not have"),
        ("count", "names the field \"count\", which is not a string"),
        ("inner", "names the field \"inner\", which is not a string"),
        ("others", "names the field \"others\", which is repeated or part of a oneof"),
        ("basket_id.id", "follows the field \"basket_id\", which is not a message"),
        ("inner.ident", "names the field \"ident\", which Inner does not have"),
    ] {
        let rule = format!("id_field: {field:?}");
        refused("id_field: \"basket_id\"", &rule, &format!("{place} {reason}"));
    }
}

#[test]
fn a_rule_may_name_a_field_of_a_message_in_the_request() {
    let nested = SHOP.replace("id_field: \"basket_id\"", "id_field: \"inner.id\"");
    Attempt::new(&nested).compile().expect("compiled");
}

#[test]
fn a_rule_whose_resource_nobody_declares_is_refused() {
    refused(
        "resource: \"Basket\"",
        "resource: \"Bucket\"",
        "ShopService.GetBasket: rule names the resource \"Bucket\", which no service declares",
    );
    refused("id_field: \"basket_id\"", "", "names a resource and no id_field");
    refused("resource: \"Basket\" ", "", "names an id_field and no resource");
}

#[test]
fn an_rpc_that_guarded_handlers_do_not_cover_is_refused() {
    let empty = SHOP
        .replace("ListGoods(ListGoodsRequest)", "ListGoods(google.protobuf.Empty)")
        .replace("import \"buf", "import \"google/protobuf/empty.proto\";\nimport \"buf");
    let error = Attempt::new(&empty).compile().expect_err("a refusal");
    assert!(error.contains("ShopService.ListGoods: takes google.protobuf.Empty"), "{error}");
}

#[test]
fn a_stream_of_requests_needs_a_rule_like_any_other() {
    let streams = SHOP.replace("(GetBasketRequest)", "(stream GetBasketRequest)");
    Attempt::new(&streams).compile().expect("compiled");
    refused(
        "GetBasket(GetBasketRequest) returns (GetBasketResponse) {",
        "Watch(stream GetBasketRequest) returns (stream GetBasketResponse) {}
        rpc GetBasket(GetBasketRequest) returns (GetBasketResponse) {",
        "ShopService.Watch: has no rule",
    );
}

#[test]
fn a_rule_says_how_old_news_may_be_and_the_table_has_it() {
    let rule = "id_field: \"basket_id\" }";
    assert!(SHOP.contains(rule), "{SHOP}");
    let of = |limit: &str| SHOP.replace(rule, &format!("{rule} max_staleness: {{ {limit} }}"));
    let attempt = Attempt::new(&of("seconds: 7 nanos: 500000000"));
    attempt.compile().expect("compiled");
    let root = attempt.written("contracts.rs");
    assert!(root.contains("Duration::new(7, 500000000)"), "{root}");
    assert!(!root.contains("streams_requests"), "{root}");
    let streaming =
        SHOP.replace("GetBasket(GetBasketRequest)", "GetBasket(stream GetBasketRequest)");
    let attempt = Attempt::new(&streaming);
    attempt.compile().expect("compiled");
    assert_eq!(attempt.written("contracts.rs").matches(".streams_requests()").count(), 1);
    for limit in ["seconds: 4", "seconds: 3601", "seconds: -5", "seconds: 5 nanos: -1", ""] {
        let error = Attempt::new(&of(limit)).compile().expect_err(limit);
        assert!(error.contains("GetBasket: its rule has a max_staleness that is not"), "{error}");
    }
    let public = "{ public: {} }";
    refused(public, "{ public: {} max_staleness: {seconds: 9} }", "a public RPC reads no token");
}

#[test]
fn a_resource_that_cedar_could_not_hold_is_refused() {
    refused("type: \"Basket\"", "type: \"User\"", "\"User\" is built in");
    refused("type: \"Basket\"", "type: \"a b\"", "\"a b\" is not a name");
    refused("type: ATTRIBUTE_TYPE_USER", "", "the attribute \"owner\" of \"Basket\" has no type");
}

#[test]
fn a_validation_rule_that_is_not_covered_is_refused() {
    let place = "acme/shop/v1/shop.proto: GetBasketRequest";
    for (rules, reason) in [
        ("string.email = true", "does not cover the validation rule string.email"),
        ("cel = { id: \"a\" expression: \"true\" }", "does not cover the validation rule cel"),
        ("int32.gt = 1", "has rules for int32 and is of type string"),
        ("repeated.min_items = 1", "has rules for repeated and is of type string"),
    ] {
        let expected = format!("{place}.basket_id: ");
        let error = Attempt::new(&SHOP.replace("string.uuid = true", rules))
            .compile()
            .expect_err("a refusal");
        assert!(error.contains(&expected) && error.contains(reason), "{error}");
    }
    refused(
        "string basket_id = 1",
        "option (buf.validate.message).cel = { id: \"a\" }; string basket_id = 1",
        "GetBasketRequest: the generator does not cover rules on messages",
    );
}

#[test]
fn a_pattern_that_re2_and_rust_read_differently_is_refused() {
    let pattern = |text: &str| format!("string.pattern = {text:?}");
    refused("string.uuid = true", &pattern("["), "the pattern \"[\" does not compile");
    refused("string.uuid = true", &pattern(r"^\d+$"), r"means different things");
}

#[test]
fn a_policy_that_does_not_validate_strictly_is_refused_with_file_and_line() {
    for (part, replacement, expected) in [
        ("ShopService/GetBasket", "ShopService/ReadBasket", "shop.cedar: line 3: "),
        ("ShopService/GetBasket", "ShopService/ListGoods", "shop.cedar: line 3: "),
        ("resource.owner", "resource.holder", "shop.cedar: line 4: "),
        ("resource.owner == principal", "resource.owner == \"me\"", "shop.cedar: line 4: "),
        ("resource.owner == principal", "resource.owner.session_age > 1", "shop.cedar: "),
        ("when {", "where {", "shop.cedar: line 4: "),
        ("@id(\"basket-owner\")", "", "shop.cedar: line 3: a policy has no @id"),
        ("permit", "@step_up(\"factor=otp\") permit", "shop.cedar: line 2: only a forbid"),
        ("permit", "@step_up(\"a proof\") forbid", "shop.cedar: line 2: @step_up says what is"),
        ("permit", "@step_up(\"authentication_age<60\") forbid", "line 2: @step_up asks for"),
    ] {
        let attempt = Attempt::new(SHOP).policy(&OWNER.replace(part, replacement));
        let error = attempt.compile().expect_err(replacement);
        assert!(error.contains(expected), "{replacement}: {error}");
    }
}

#[test]
fn two_policies_with_one_id_are_refused() {
    let error = Attempt::new(SHOP).policy(&OWNER.repeat(2)).compile().expect_err("a refusal");
    assert!(error.contains("the @id \"basket-owner\" is also used in shop.cedar"), "{error}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_is_written() {
    let proto = SHOP
        .replace("option (countersign.policy.v1.rule) = { public: {} };", "")
        .replace("id_field: \"basket_id\"", "id_field: \"nowhere\"")
        .replace("string.uuid", "string.hostname");
    let attempt = Attempt::new(&proto);
    let error = attempt.compile().expect_err("a refusal");
    assert_eq!(error.lines().count(), 4, "{error}");
    assert!(!attempt.folder.path().join("out/contracts.rs").exists());
}

#[test]
fn a_syntax_error_names_file_and_line() {
    let error = Attempt::new("syntax = \"proto3\";\nmessage {}").compile().expect_err("a refusal");
    assert!(error.contains("acme/shop/v1/shop.proto:2:"), "{error}");
}
