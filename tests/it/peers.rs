//! Services that call with a certificate of their own: policies decide on it, too.

use std::{
    fs,
    time::{Duration, Instant},
};

use countersign_tests::{
    Authority, Clients, Executable, Identity, Login, email_of, refusal, tls_client_front,
};
use tonic::Code;

const PATIENCE: Duration = Duration::from_secs(30);

/// Of all that reach this server, only the shop reads profiles.
const POLICY: &str = r#"
@id("profiles-are-for-the-shop")
forbid (
    principal,
    action == Action::"countersign.user.v1.ProfileService/GetProfile",
    resource
)
unless {
    context.peer has spiffe_id
    && context.peer.spiffe_id == "spiffe://test/shop"
};
"#;

/// Asks until the account is active.
async fn signed_in(clients: &Clients) -> Login {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(login) = clients.login(&email_of("ada")).await {
            return login;
        }
        assert!(Instant::now() < deadline, "the account never becomes active");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_policy_permits_one_spiffe_id_and_denies_another() {
    let authority = Authority::new();
    let Identity { certificate, key } = authority.sign("countersign.test");
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("mine.cedar"), POLICY).unwrap();
    let process = Executable::on(&folder.path().join("data"))
        .with("COUNTERSIGN_POLICIES__DIR", policies.to_str().unwrap())
        .with("COUNTERSIGN_SERVER__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap())
        .with("COUNTERSIGN_SERVER__TLS__KEY_FILE", key.to_str().unwrap())
        .with("COUNTERSIGN_SERVER__TLS__CLIENT_CA_FILE", authority.file().to_str().unwrap())
        .start()
        .await;
    let from = async |name: &str| {
        let identity = authority.sign_workload(name);
        Clients::of(tls_client_front(&authority, &identity, process.address()).await)
    };
    let (shop, other) = (from("shop").await, from("other").await);
    shop.register("ada").await.unwrap();
    let ada = signed_in(&shop).await;
    // One person with one token, whichever service calls on her behalf.
    let (shop, other) = (shop.with_token(&ada.access_token), other.with_token(&ada.access_token));
    for _ in 0..2 {
        assert_eq!(shop.profile("me").await.unwrap().user_id, ada.user_id);
        refusal(other.profile("me").await).is(Code::PermissionDenied, "ACCESS_DENIED");
    }
}
