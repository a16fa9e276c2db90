//! What a newcomer reads at the start: where everything is, and three lines
//! that can be pasted.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// A person for the example, with a password that is on no list.
const PERSON: &str = r#"{"email":"ada@example.org","password":"violet harbour sings at dawn"}"#;

/// Prints the banner; `address` is the one that was bound.
///
/// # Errors
/// The output cannot be written.
pub fn print(out: &mut dyn Write, address: SocketAddr, data: &Path) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let warning = warning(address).map(|text| format!("\nWARNING: {text}.\n")).unwrap_or_default();
    let data = data.display();
    let address = reachable(address);
    let call = |rpc: &str| format!("-d '{PERSON}' {address} countersign.auth.v1.AuthService/{rpc}");
    let (register, login) = (call("Register"), call("Login"));
    writeln!(
        out,
        r#"Countersign {version} serves {address}, its data is in {data}
{warning}Paste into another terminal, with grpcurl on its path:

  grpcurl -plaintext {register}

  TOKEN=$(grpcurl -plaintext {login} | sed -n 's/.*"accessToken": "\([^"]*\)".*/\1/p')

  grpcurl -plaintext -H "authorization: Bearer $TOKEN" -d '{{"user_id":"me"}}' {address} countersign.user.v1.ProfileService/GetProfile
"#
    )?;
    out.flush()
}

/// Prints what a service that runs alone has to say.
///
/// # Errors
/// The output cannot be written.
pub fn print_role(out: &mut dyn Write, role: &str, address: SocketAddr) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "Countersign {version} {role} serves {}", reachable(address))?;
    if let Some(warning) = warning(address) {
        writeln!(out, "warning: {warning}")?;
    }
    out.flush()
}

/// What an operator has to know where other machines can reach `address`.
pub fn warning(address: SocketAddr) -> Option<String> {
    let exposed = !address.ip().to_canonical().is_loopback();
    exposed.then(|| {
        format!(
            "{address} can be reached from other machines, and this server speaks without TLS: \
             passwords and tokens cross the network in the clear unless a proxy or a mesh in \
             front of it encrypts them"
        )
    })
}

/// An address that a client on this machine can reach.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_name_the_address_that_was_bound() {
        for (bound, shown) in [("127.0.0.1:4711", "127.0.0.1:4711"), ("0.0.0.0:80", "127.0.0.1:80")]
        {
            let mut out = Vec::new();
            print(&mut out, bound.parse().unwrap(), Path::new("/srv/data")).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.matches(&format!("{shown} countersign.")).count(), 3, "{text}");
            assert!(text.contains("its data is in /srv/data"), "{text}");
        }
    }

    #[test]
    fn whoever_listens_to_other_machines_is_warned() {
        for (bound, warned) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
        ] {
            let address = bound.parse().unwrap();
            assert_eq!(warning(address).is_some(), warned, "{bound}");
            let mut out = Vec::new();
            print(&mut out, address, Path::new("/srv/data")).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains("WARNING") && text.contains("without TLS"), warned, "{text}");
        }
    }
}
