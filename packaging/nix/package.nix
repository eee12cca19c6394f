# presenced, for `callPackage`.
{ lib, rustPlatform }:
let
  root = ../..;
  manifest = (lib.importTOML (root + "/Cargo.toml")).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions (
      map (name: root + "/${name}") [
        "Cargo.lock"
        "Cargo.toml"
        "CHANGELOG.md"
        "LICENSE-APACHE"
        "LICENSE-MIT"
        "README.md"
        "benches"
        "config"
        "crates"
        "docs"
        "packaging"
        "src"
        "tests"
      ]
    );
  };
  cargoLock.lockFile = root + "/Cargo.lock";
  # Includes the list of crates in the program, for `cargo audit bin`.
  auditable = true;
  # The tests need buses, keyrings and X servers, which a build does not have.
  doCheck = false;

  postInstall = ''
    mv "$out/bin/presenced" .
    PREFIX= bash packaging/install ./presenced "$out"
    # On NixOS, systemd does not find the program in /usr/bin.
    sed -i "s|^ExecStart=presenced|ExecStart=$out/bin/presenced|" "$out"/lib/systemd/*/presenced*.service
  '';

  meta = {
    inherit (manifest) description;
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "presenced";
    platforms = lib.platforms.linux;
  };
}
