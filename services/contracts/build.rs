//! Compiles the protocol between the services with protox, so that no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "proto/paymesh/persistence/v1/persistence.proto";
    println!("cargo::rerun-if-changed={file}");
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .compile_fds(protox::compile([file], ["proto"])?)?;
    Ok(())
}
