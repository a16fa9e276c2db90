//! What policies may know of a call beside caller and resource: whose
//! certificate the connection has. Made only where a policy reads it.

use cedar_policy::{Context, RestrictedExpression};

use crate::{PeerCertificate, Value, principal::Unusable};

/// Names in the schema, where [`PEER`] is a record in the context of each action.
pub(crate) const PEER: &str = "peer";
const NAMES: &str = "names";
const SPIFFE_ID: &str = "spiffe_id";

/// The context of a call. Who has shown no certificate has no names.
pub(crate) fn of(peer: Option<&PeerCertificate>) -> Result<Context, Unusable> {
    let names = names(peer).iter().cloned().map(RestrictedExpression::new_string);
    let mut known = vec![(NAMES.to_owned(), RestrictedExpression::new_set(names))];
    if let Some(id) = peer.and_then(PeerCertificate::spiffe_id) {
        known.push((SPIFFE_ID.to_owned(), RestrictedExpression::new_string(id.to_owned())));
    }
    let peer = RestrictedExpression::new_record(known).map_err(|_| Unusable)?;
    Context::from_pairs([(PEER.to_owned(), peer)]).map_err(|_| Unusable)
}

/// An attribute of the peer, where a list asks for it.
pub(crate) fn attribute(peer: Option<&PeerCertificate>, name: &str) -> Option<Value> {
    match name {
        NAMES => Some(Value::StringSet(names(peer).to_vec())),
        SPIFFE_ID => {
            peer.and_then(PeerCertificate::spiffe_id).map(|id| Value::String(id.to_owned()))
        }
        _ => None,
    }
}

fn names(peer: Option<&PeerCertificate>) -> &[String] {
    peer.map(|peer| &*peer.names).unwrap_or_default()
}
