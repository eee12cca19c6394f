//! Keys, certificates and signatures by the openssl program: made anew for each test, and an opinion that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

/// Runs openssl in `folder` with `input`, and hands over what it prints.
fn openssl(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl must be installed: apt-get install openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A folder of keys and certificates.
pub(crate) struct Keys {
    folder: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = "[req]\ndistinguished_name = name\n[name]\n[ca]\ndefault_ca = it\n[it]\nnew_certs_dir = .\n\
                      database = index\nserial = serial\ndefault_md = sha256\npolicy = names\nunique_subject = no\n\
                      [names]\ncommonName = supplied\n";
        for (name, text) in [("openssl.cnf", config), ("index", ""), ("serial", "01\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Vec<u8> {
        openssl(self.folder.path(), arguments, b"")
    }

    /// A key `NAME.key` and its certificate `NAME.pem`, which is good from 2001 to 2098.
    pub(crate) fn make(&self, name: &str) {
        self.make_with(name, &["-newkey", "rsa:2048"], "20980101000000Z");
    }

    /// The same of a key of this kind, until then.
    pub(crate) fn make_with(&self, name: &str, kind: &[&str], until: &str) {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let ask =
            ["req", "-config", "openssl.cnf", "-new", "-nodes", "-subj", "/CN=worthless", "-keyout", &key, "-out"];
        self.run(&[&ask[..], &[&request], kind].concat());
        self.run(
            &[
                &["ca", "-config", "openssl.cnf", "-batch", "-notext", "-selfsign", "-startdate", "20010101000000Z"],
                &["-enddate", until, "-keyfile", &key, "-in", &request, "-out", &certificate][..],
            ]
            .concat(),
        );
    }

    /// A key `NAME.key` and its certificate `NAME.pem` for a server of this name, from 2001 until then.
    pub(crate) fn make_for(&self, name: &str, host: &str, until: &str) {
        std::fs::write(self.path("extensions"), format!("subjectAltName = DNS:{host}\n")).unwrap();
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let subject = format!("/CN={name}");
        let ask = ["req", "-config", "openssl.cnf", "-new", "-nodes", "-subj", &subject, "-keyout", &key, "-out"];
        self.run(&[&ask[..], &[&request], &kind].concat());
        let sign = ["ca", "-config", "openssl.cnf", "-batch", "-notext", "-selfsign", "-startdate", "20010101000000Z"];
        let to = ["-enddate", until, "-extfile", "extensions", "-keyfile", &key, "-in", &request, "-out", &certificate];
        self.run(&[&sign[..], &to].concat());
    }

    /// The same, but signed by an authority `NAME-ca.pem` with a key on the curve P-521.
    pub(crate) fn make_below_p521(&self, name: &str, host: &str) {
        self.make_for(name, host, "20980101000000Z");
        let authority = format!("{name}-ca");
        self.make_with(&authority, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "20980101000000Z");
        let (key, certificate) = (format!("{authority}.key"), format!("{authority}.pem"));
        let (request, signed) = (format!("{name}.csr"), format!("{name}.pem"));
        let by = ["x509", "-req", "-in", &request, "-CA", &certificate, "-CAkey", &key, "-CAcreateserial"];
        self.run(&[&by[..], &["-sha512", "-extfile", "extensions", "-days", "3650", "-out", &signed]].concat());
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// A certificate in DER.
    pub(crate) fn der(&self, certificate: &str) -> Vec<u8> {
        self.run(&["x509", "-in", certificate, "-outform", "DER"])
    }

    /// The public key of a certificate or key, in DER.
    pub(crate) fn public_key(&self, key: &str) -> Vec<u8> {
        self.run(&["pkey", "-in", key, "-pubout", "-outform", "DER"])
    }

    /// The thumbprint of a certificate by `digest` (`-sha256`), in base64url.
    pub(crate) fn thumbprint(&self, certificate: &str, digest: &str) -> String {
        URL_SAFE_NO_PAD.encode(openssl(self.folder.path(), &["dgst", digest, "-binary"], &self.der(certificate)))
    }

    /// A signed JWT.
    pub(crate) fn jwt(&self, key: &str, header: &serde_json::Value, claims: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let mut sign = vec!["dgst", "-sha256", "-sign", key, "-binary"];
        if header["alg"] == "PS256" {
            sign.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
        }
        let signature = openssl(self.folder.path(), &sign, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether the key of `key` signed a JWT of PS256.
    pub(crate) fn verifies(&self, key: &str, jwt: &str) -> bool {
        let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
        self.checks(jwt, &[&["-prverify", key][..], &pss].concat())
    }

    /// Whether a public key in PEM signed a JWT of RS256.
    pub(crate) fn verifies_rs256(&self, public_key: &[u8], jwt: &str) -> bool {
        std::fs::write(self.path("public"), public_key).unwrap();
        self.checks(jwt, &["-verify", "public"])
    }

    fn checks(&self, jwt: &str, with: &[&str]) -> bool {
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        std::fs::write(self.path("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        std::fs::write(self.path("message"), message).unwrap();
        let arguments = [&["dgst", "-sha256", "-signature", "signature"], with, &["message"]].concat();
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        output.status.success()
    }
}
