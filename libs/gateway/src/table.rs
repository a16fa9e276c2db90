//! All routes, and which one a request means.

use std::{collections::HashMap, sync::Arc};

use http::Method;
use prost_reflect::DescriptorPool;

use crate::{Error, binding::Binding, path::Path, rpc::Rpc};

/// What can be called.
#[derive(Debug)]
pub(crate) struct Table {
    rpcs: HashMap<String, Arc<Rpc>>,
    /// The most literal ones first. They are few, and gone through one by one.
    bindings: Vec<Arc<Binding>>,
}

/// What a request means.
pub(crate) enum Found {
    /// This route, with the fields that the path gives.
    Route(Arc<Binding>, Vec<(String, String)>),
    /// Nothing by this method, but something by these.
    Methods(Vec<Method>),
    /// Nothing.
    Nothing,
}

impl Table {
    /// The RPCs of these services.
    pub(crate) fn of(pool: &DescriptorPool, services: &[&str]) -> Result<Self, Error> {
        let mut table = Self { rpcs: HashMap::new(), bindings: Vec::new() };
        for name in services {
            let service = pool
                .get_service_by_name(name)
                .ok_or_else(|| Error::UnknownService((*name).to_owned()))?;
            for method in service.methods() {
                let rpc = Arc::new(Rpc::of(method)?);
                for binding in Binding::all(&rpc)? {
                    table.add(binding)?;
                }
                table.rpcs.insert(rpc.path.path().to_owned(), rpc);
            }
        }
        table.bindings.sort_by_key(|binding| binding.template.vagueness());
        Ok(table)
    }

    fn add(&mut self, binding: Binding) -> Result<(), Error> {
        let same = self.bindings.iter().find(|other| {
            other.method == binding.method && other.template.shape() == binding.template.shape()
        });
        if let Some(other) = same {
            return Err(binding.rpc.wrong(format!("is that of {} as well", other.rpc.name())));
        }
        self.bindings.push(Arc::new(binding));
        Ok(())
    }

    /// All routes.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().map(Arc::as_ref)
    }

    /// The RPC of a path such as `/acme.shop.v1.ShopService/GetOrder`.
    pub(crate) fn rpc(&self, path: &str) -> Option<&Arc<Rpc>> {
        self.rpcs.get(path)
    }

    /// The route of a request.
    pub(crate) fn find(&self, method: &Method, path: &Path) -> Found {
        let mut methods = Vec::new();
        for binding in &self.bindings {
            let Some(fields) = binding.template.read(path) else { continue };
            if binding.method == *method {
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                return Found::Route(Arc::clone(binding), fields.collect());
            }
            if !methods.contains(&binding.method) {
                methods.push(binding.method.clone());
            }
        }
        if methods.is_empty() { Found::Nothing } else { Found::Methods(methods) }
    }
}
