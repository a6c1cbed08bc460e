//! Compiles Terraform's protocol for a client: the matrix speaks to the provider as Terraform does,
//! and shares nothing else with it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = "../../provider/plugin/proto";
    let files = ["tfplugin6.proto", "go-plugin.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={folder}/{file}");
    }
    let descriptors = protox::compile(files, [folder])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}
