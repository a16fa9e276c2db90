//! What a channel calls: a name, a list, a socket, or whatever a function finds.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc};

use futures::future::{BoxFuture, join_all};
use http::uri::Authority;

use super::address::Address;
use crate::Error;

/// Entries of a list.
const MAX_NAMES: usize = 100;

/// What a channel calls. It is read from
///
/// - `dns:///name:port`: every address of a name, such as a headless service;
/// - `a:1,b:2` or `ipv4:192.0.2.1:1,192.0.2.2:2`: each of a list of names or addresses;
/// - `unix:/path` or `unix:///path`: a socket on this machine.
#[derive(Clone)]
pub struct Target {
    name: String,
    authority: Authority,
    names: Names,
}

type Find = dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Where the addresses come from.
#[derive(Clone)]
enum Names {
    /// Each `name:port` or address.
    Hosts(Vec<String>),
    Unix(PathBuf),
    Found(Arc<Find>),
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
        let read = authority.parse().map_err(|_| refused(authority, "has no name and port"))?;
        let names = Names::Found(Arc::new(find));
        Ok(Self { name: authority.to_owned(), authority: read, names })
    }

    /// What servers are called in requests.
    pub(super) const fn authority(&self) -> &Authority {
        &self.authority
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
            Names::Found(_) => true,
        }
    }

    /// Its addresses as they are now. Of a list with names, those that can be
    /// resolved; an error where none can.
    pub(super) async fn addresses(&self) -> io::Result<Vec<Address>> {
        let found = match &self.names {
            Names::Unix(path) => return Ok(vec![Address::Unix(path.clone())]),
            Names::Found(find) => find().await?,
            Names::Hosts(hosts) => {
                let lookups = hosts.iter().map(tokio::net::lookup_host);
                let (mut found, mut failed) = (Vec::new(), None);
                for looked_up in join_all(lookups).await {
                    match looked_up {
                        Ok(addresses) => found.extend(addresses),
                        Err(error) => failed = Some(error),
                    }
                }
                match failed {
                    Some(error) if found.is_empty() => return Err(error),
                    _ => found,
                }
            }
        };
        Ok(found.into_iter().map(Address::Tcp).collect())
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
            let authority = Authority::from_static("localhost");
            return Ok(Self { name, authority, names: Names::Unix(PathBuf::from(path)) });
        }
        let hosts: Vec<String> = if let Some(host) = text.strip_prefix("dns:") {
            let host = host.strip_prefix("///").unwrap_or(host);
            if host.contains('/') {
                return Err(refused(text, "names a DNS server: the system's resolver is asked"));
            }
            vec![host.to_owned()]
        } else {
            let list = text.strip_prefix("ipv4:").or_else(|| text.strip_prefix("ipv6:"));
            list.unwrap_or(text).split(',').map(|host| host.trim().to_owned()).collect()
        };
        if hosts.len() > MAX_NAMES {
            return Err(refused(text, "has more than 100 entries"));
        }
        let authority = |host: &String| -> Result<Authority, Error> {
            let read: Authority = host
                .parse()
                .map_err(|_| refused(text, "is not name:port, a list of them or unix:/path"))?;
            match read.port_u16() {
                Some(_) if !read.host().is_empty() && !host.contains('@') => Ok(read),
                _ => Err(refused(text, "needs a name and a port, such as auth:50051")),
            }
        };
        let mut authorities = hosts.iter().map(authority).collect::<Result<Vec<_>, _>>()?;
        match authorities.is_empty() {
            true => Err(refused(text, "is empty")),
            false => {
                Ok(Self { name, authority: authorities.swap_remove(0), names: Names::Hosts(hosts) })
            }
        }
    }
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
        ] {
            let Names::Hosts(hosts) = read(text).names else { unreachable!("{text}") };
            assert_eq!(hosts, expected, "{text}");
        }
        for text in ["unix:/run/auth.sock", "unix:///run/auth.sock"] {
            let Names::Unix(path) = read(text).names else { unreachable!("{text}") };
            assert_eq!(path, PathBuf::from("/run/auth.sock"), "{text}");
        }
        assert_eq!(read("dns:///auth.ns.svc:50051").authority(), "auth.ns.svc:50051");
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
            "http://a:1",
            "u@a:1",
        ] {
            let refused = text.parse::<Target>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("cannot call {text:?}: it ")), "{refused}");
        }
    }
}
