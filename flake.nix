# For users of Nix: `nix build` makes the programs, `nix develop` is a shell with everything that the build, the tests
# and the checks need. The supported platforms are Debian 12 and 13 (see Makefile); this is the same source against nixpkgs.
{
  description = "Streams every TCP socket of every network namespace of a host";

  inputs = {
    # The release that is of one age with Debian 12: gcc 12, protobuf 3.21.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-22.11";
    # gRPC of the version in Debian 12 and 13: the code relies on the upb inside it.
    grpc-src = {
      url = "github:grpc/grpc/v1.51.1";
      flake = false;
    };
  };

  outputs = { self, nixpkgs, grpc-src }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAll = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      package = pkgs: pkgs.callPackage ./nix/package.nix { inherit grpc-src; };
    in
    {
      packages = forAll (pkgs: { default = package pkgs; });

      devShells = forAll (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (package pkgs) ];
          packages = with pkgs; [
            cmocka
            iproute2
            procps
            tmux
            strace
            clang_14
            clang-tools_14
            (python3.withPackages (p: with p; [ grpcio protobuf msgpack pytest cryptography ]))
          ];
        };
      });
    };
}
