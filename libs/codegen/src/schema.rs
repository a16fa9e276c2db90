//! The Cedar schema over which policies are written: one action for each RPC
//! that has a policy rule, one entity type for each declared resource. What is
//! known of a call is the same for all.

use std::fmt::Write as _;

use crate::rules::{Access, Contract};

/// What the guard supplies about a caller and the connection.
const SUPPLIED: &str = "\
entity Role;
entity User in [Role] {
  // Seconds since the Unix epoch.
  authentication_time: Long,
  // Seconds since the session was started.
  session_age: Long,
  // How the caller proved who they are, such as \"pwd\" (RFC 8176).
  factors: Set<String>,
  // The tenant that the account belongs to.
  tenant: String,
};
entity Service;
type CallContext = {
  // Who is at the other end of the connection, by a verified certificate.
  peer: {
    // Its names: URIs, such as a SPIFFE id, and names of hosts. Empty without one.
    names: Set<String>,
    // Its SPIFFE id, where it has exactly one.
    spiffe_id?: String,
  },
};
";

/// The schema in Cedar's own syntax.
pub(crate) fn text(contract: &Contract) -> String {
    let mut text = SUPPLIED.to_owned();
    for (kind, attributes) in &contract.resources {
        let _ = write!(text, "entity {kind} {{");
        for attribute in attributes {
            let kind = attribute.cedar_type().unwrap_or("String");
            let _ = write!(text, " {:?}: {kind},", attribute.name);
        }
        text.push_str(" };\n");
    }
    for (rpc, rule) in &contract.rpcs {
        let resource = match &rule.access {
            Access::Public => continue,
            Access::Service => "Service",
            Access::Resource { kind, .. } | Access::List { kind } => kind,
        };
        let _ = writeln!(
            text,
            "action {rpc:?} appliesTo {{ principal: [User], resource: [{resource}], context: CallContext }};"
        );
    }
    text
}
