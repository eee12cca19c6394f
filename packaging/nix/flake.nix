# nix build ./packaging/nix: Nix includes the whole repository around this folder, so package.nix sees the source.
{
  description = "Keeps a Microsoft Teams presence accurate from local Linux signals";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      packages = nixpkgs.lib.genAttrs systems (system: rec {
        presenced = nixpkgs.legacyPackages.${system}.callPackage ./package.nix { };
        default = presenced;
      });
    };
}
