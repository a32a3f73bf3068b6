# The programs of xtcp2.
#
# gRPC installs upb as a library without headers and generators. Both come from gRPC's own source and are put where
# cmake/upb.cmake looks for them, as tools/deps.sh does on Debian.
{ lib, stdenv, cmake, ninja, pkg-config, protobuf, protobufc, grpc, abseil-cpp, openssl, c-ares, re2, zlib, libnl, libyaml
, jansson, ncurses, libcap, libseccomp, grpc-src }:

let
  grpc_1_51 = grpc.overrideAttrs (_: {
    version = "1.51.1";
    src = grpc-src;
  });
in
stdenv.mkDerivation {
  pname = "xtcp2";
  version = "0.1.0";
  src = lib.cleanSource ../.;

  nativeBuildInputs = [ cmake ninja pkg-config protobuf protobufc ];
  buildInputs = [ protobuf protobufc grpc_1_51 abseil-cpp openssl c-ares re2 zlib libnl libyaml jansson ncurses libcap libseccomp ];

  postPatch = ''
    mkdir -p .deps/bin
    cp -r ${grpc-src}/third_party/upb .deps/upb
    chmod -R u+w .deps
    for generator in upb upbdefs; do
      $CXX -std=c++17 -O1 -w -I.deps/upb -o .deps/bin/protoc-gen-$generator \
        .deps/upb/upbc/protoc-gen-$generator.cc .deps/upb/upbc/common.cc \
        -lprotoc -lprotobuf -lupb $(pkg-config --libs absl_strings absl_raw_hash_set)
    done
  '';

  cmakeFlags = [ "-DBUILD_TESTING=OFF" ];

  installPhase = ''
    runHook preInstall
    install -D -t $out/bin bin/xtcp2 bin/xtcp2client
    for page in $NIX_BUILD_TOP/$sourceRoot/man/*; do
      install -D -m 644 -t $out/share/man/man''${page##*.} $page
    done
    install -D -m 644 -t $out/lib/systemd/system $NIX_BUILD_TOP/$sourceRoot/deploy/systemd/xtcp2.service
    substituteInPlace $out/lib/systemd/system/xtcp2.service --replace /usr/bin/xtcp2 $out/bin/xtcp2
    runHook postInstall
  '';

  meta = {
    description = "Streams every TCP socket of every network namespace of a host";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "xtcp2";
  };
}
