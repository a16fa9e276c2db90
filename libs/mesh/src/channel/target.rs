//! What a channel calls: a name, a list, a socket, or whatever a function finds.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc};

use futures::future::{BoxFuture, join_all};
use http::uri::Authority;

use super::address::{Address, Place};
use crate::Error;

/// Entries of a list.
const MAX_NAMES: usize = 100;

/// What a channel calls. It is read from
///
/// - `dns:///name:port`: every address of a name, such as a headless service;
/// - `a:1,b:2` or `ipv4:192.0.2.1:1,192.0.2.2:2`: each of a list of names or addresses;
/// - `https://a:1,https://b:2`: the same, over TLS in any case, each with a
///   certificate of its own name; with `http`, without TLS in any case. Ports that
///   are left out are those of the schemes;
/// - `unix:/path` or `unix:///path`: a socket on this machine.
#[derive(Clone)]
pub struct Target {
    name: String,
    tls: Option<bool>,
    names: Names,
}

/// What the beginning of an address says.
struct Scheme {
    prefix: &'static str,
    tls: bool,
    port: u16,
}

const SCHEMES: [Scheme; 2] = [
    Scheme { prefix: "http://", tls: false, port: 80 },
    Scheme { prefix: "https://", tls: true, port: 443 },
];

type Find = dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Where the addresses come from.
#[derive(Clone)]
enum Names {
    /// Each `name:port` or address.
    Hosts(Vec<String>),
    Unix(PathBuf),
    /// Whatever is found, and what all of it is called.
    Found(Arc<str>, Arc<Find>),
}

impl Target {
    /// The addresses that `find` finds, asked again as often as a name is resolved.
    /// `authority` is what the servers are called, `name:port`: TLS compares the name
    /// with their certificates.
    ///
    /// # Errors
    /// [`Error::Target`] when `authority` is none.
    pub fn found_by(
        authority: &str,
        find: impl Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let read: Result<Authority, _> = authority.parse();
        read.map_err(|_| refused(authority, "has no name and port"))?;
        let names = Names::Found(authority.into(), Arc::new(find));
        Ok(Self { name: authority.to_owned(), tls: None, names })
    }

    /// Whether its servers speak TLS, where it says so.
    pub(super) const fn speaks_tls(&self) -> Option<bool> {
        self.tls
    }

    /// As it was written, for logs and errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its addresses can change.
    pub(super) fn can_change(&self) -> bool {
        match &self.names {
            Names::Hosts(hosts) => hosts.iter().any(|host| host.parse::<SocketAddr>().is_err()),
            Names::Unix(_) => false,
            Names::Found(..) => true,
        }
    }

    /// Its addresses as they are now. Of a list with names, those that can be
    /// resolved; an error where none can.
    pub(super) async fn addresses(&self) -> io::Result<Vec<Address>> {
        let hosts = match &self.names {
            Names::Unix(path) => {
                let place = Place::Unix(path.clone());
                return Ok(vec![Address { place, authority: "localhost".into() }]);
            }
            Names::Found(authority, find) => {
                let found = find().await?;
                return Ok(found.into_iter().map(|found| called(authority, found)).collect());
            }
            Names::Hosts(hosts) => hosts,
        };
        let lookups = hosts.iter().map(tokio::net::lookup_host);
        let (mut found, mut failed) = (Vec::new(), None);
        for (host, looked_up) in hosts.iter().zip(join_all(lookups).await) {
            let authority: Arc<str> = host.as_str().into();
            match looked_up {
                Ok(addresses) => found.extend(addresses.map(|found| called(&authority, found))),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.to_owned();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(refused(text, "needs an absolute path after unix:"));
            }
            return Ok(Self { name, tls: None, names: Names::Unix(PathBuf::from(path)) });
        }
        let (entries, scheme): (Vec<&str>, _) = if let Some(host) = text.strip_prefix("dns:") {
            let host = host.strip_prefix("///").unwrap_or(host);
            if host.contains('/') {
                return Err(refused(text, "names a DNS server: the system's resolver is asked"));
            }
            (vec![host], None)
        } else {
            let list = text.strip_prefix("ipv4:").or_else(|| text.strip_prefix("ipv6:"));
            let list = list.unwrap_or(text).split(',').map(str::trim).collect();
            let scheme = SCHEMES.iter().find(|scheme| text.starts_with(scheme.prefix));
            (list, scheme)
        };
        if entries.len() > MAX_NAMES {
            return Err(refused(text, "has more than 100 entries"));
        }
        let host = |entry: &&str| host(entry, scheme).map_err(|reason| refused(text, reason));
        let hosts = entries.iter().map(host).collect::<Result<_, _>>()?;
        Ok(Self { name, tls: scheme.map(|scheme| scheme.tls), names: Names::Hosts(hosts) })
    }
}

/// An entry of a list as `name:port`, where all entries have this scheme.
fn host(entry: &str, scheme: Option<&Scheme>) -> Result<String, &'static str> {
    let mut host = entry.to_owned();
    if let Some(scheme) = scheme {
        let rest = entry.strip_prefix(scheme.prefix);
        let rest =
            rest.ok_or("has entries of several kinds: all have http://, https:// or none")?;
        host = rest.strip_suffix('/').unwrap_or(rest).to_owned();
    }
    let read = |host: &str| -> Result<Authority, &'static str> {
        host.parse().map_err(|_| "is not name:port, a list of them or unix:/path")
    };
    let mut authority = read(&host)?;
    if let (None, Some(scheme)) = (authority.port(), scheme) {
        host = format!("{host}:{}", scheme.port);
        authority = read(&host)?;
    }
    match authority.port_u16() {
        Some(_) if !authority.host().is_empty() && !host.contains('@') => Ok(host),
        _ => Err("needs a name and a port, such as auth:50051"),
    }
}

fn called(authority: &Arc<str>, found: SocketAddr) -> Address {
    Address { place: Place::Tcp(found), authority: Arc::clone(authority) }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.name)
    }
}

fn refused(target: &str, reason: &'static str) -> Error {
    Error::Target { target: target.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_of_a_target_is_read() {
        for (text, expected) in [
            ("dns:///auth.ns.svc:50051", vec!["auth.ns.svc:50051"]),
            ("auth:1", vec!["auth:1"]),
            ("a:1, b:2", vec!["a:1", "b:2"]),
            ("ipv4:192.0.2.1:1,192.0.2.2:2", vec!["192.0.2.1:1", "192.0.2.2:2"]),
            ("[2001:db8::1]:1", vec!["[2001:db8::1]:1"]),
            ("http://a:1,http://b/", vec!["a:1", "b:80"]),
            ("https://a, https://[2001:db8::1]:1", vec!["a:443", "[2001:db8::1]:1"]),
        ] {
            let Names::Hosts(hosts) = read(text).names else { unreachable!("{text}") };
            assert_eq!(hosts, expected, "{text}");
        }
        for text in ["unix:/run/auth.sock", "unix:///run/auth.sock"] {
            let Names::Unix(path) = read(text).names else { unreachable!("{text}") };
            assert_eq!(path, PathBuf::from("/run/auth.sock"), "{text}");
        }
        for (text, tls) in [("a:1", None), ("http://a", Some(false)), ("https://a", Some(true))] {
            assert_eq!(read(text).speaks_tls(), tls, "{text}");
        }
        assert!(read("a:1").can_change() && !read("127.0.0.1:1,[::1]:2").can_change());
    }

    #[test]
    fn what_is_no_target_is_refused_with_a_sentence() {
        for text in [
            "",
            "auth",
            "dns://1.1.1.1/auth:1",
            "unix:auth.sock",
            "a:1,,b:2",
            "http://a:1,b:1",
            "http://a:1,https://b:1",
            "a:1,https://b:1",
            "https://",
            "https://a:1/path",
            "https://u@a:1",
            "ftp://a:1",
            "u@a:1",
        ] {
            let refused = text.parse::<Target>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("cannot call {text:?}: it ")), "{refused}");
        }
    }
}
