//! Services over TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::asking::{PROVIDERS, ask, failure, nothing};
use crate::places_service::ok;

/// A service with a certificate that it signed itself. Returns its URL, and whether one who asks
/// went on to say what.
fn self_signed(provider: &'static str) -> (String, thread::JoinHandle<bool>) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provided = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provided)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let service = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let is_asked = stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0);
        let _ = stream.write_all(&ok(nothing(provider)));
        is_asked
    });
    (url, service)
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_before_the_key_is_sent() {
    for provider in PROVIDERS {
        let (url, service) = self_signed(provider);
        let (status, message) = failure(&ask(provider, &url, ""));
        assert!(!service.join().unwrap(), "{provider}: it was asked");
        assert_eq!(status, "UNKNOWN_ERROR");
        assert_eq!(message, "no trusted connection (TLS) to the places service");
    }
}
