//! Compares what is mounted with the contracts and the rules, before the server
//! starts: a method that was forgotten in one of them shows now, and not when
//! somebody calls it.
//!
//! Health and reflection stand outside of this: the server mounts them itself,
//! anybody may call them, and they have no rules.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::{Error, Part};

/// Refuses parts whose services are mounted twice, or whose RPCs are not exactly
/// those of the contracts. A service that the contracts do not describe is
/// whatever its rules say.
pub(super) fn check(parts: &[Part]) -> Result<(), Error> {
    let described = described()?;
    let mut mounted = BTreeSet::new();
    for part in parts {
        let unknown = part.priorities.iter().find(|(rpc, _)| !part.rpcs.contains(rpc));
        if let Some((rpc, _)) = unknown {
            return Err(Error::Unknown((*rpc).to_owned()));
        }
        for service in &part.services {
            if !mounted.insert(*service) {
                return Err(Error::MountedTwice((*service).to_owned()));
            }
            let own = |rpc: &str| rpc.split('/').next() == Some(service);
            let rules: BTreeSet<_> = part.rpcs.iter().copied().filter(|rpc| own(rpc)).collect();
            let methods: BTreeSet<_> =
                described.iter().map(String::as_str).filter(|rpc| own(rpc)).collect();
            if let Some(rpc) = methods.difference(&rules).next() {
                return Err(Error::Unruled((*rpc).to_owned()));
            }
            if rules.is_empty() {
                return Err(Error::Unruled((*service).to_owned()));
            }
            if let Some(rpc) = rules.difference(&methods).next()
                && !methods.is_empty()
            {
                return Err(Error::Undescribed((*rpc).to_owned()));
            }
        }
    }
    Ok(())
}

/// Every RPC of the contracts, such as `countersign.user.v1.ProfileService/GetProfile`.
pub(super) fn described() -> Result<BTreeSet<String>, Error> {
    let set = FileDescriptorSet::decode(countersign_contracts::DESCRIPTOR_SET)
        .map_err(|error| Error::Reflection(error.to_string()))?;
    let files = set.file.iter();
    let services = files.flat_map(|file| file.service.iter().map(move |one| (file.package(), one)));
    let rpcs = services.flat_map(|(package, service)| {
        let methods = service.method.iter();
        methods.map(move |method| format!("{package}.{}/{}", service.name(), method.name()))
    });
    Ok(rpcs.collect())
}
