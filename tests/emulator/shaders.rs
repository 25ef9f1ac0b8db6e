//! Every expansion of the project's shaders compiles.

use autorep::emulator::Program;
use std::path::Path;

#[test]
fn every_expansion_compiles() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/expanded");
    let mut unknown = Vec::new();
    let mut compiled = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let module = naga::front::wgsl::parse_str(&source).unwrap();
        let capabilities = naga::valid::Capabilities::all();
        let info = naga::valid::Validator::new(Default::default(), capabilities)
            .validate(&module)
            .unwrap();
        for point in &module.entry_points {
            match Program::new(&module, &info, &point.name, Some(&source)) {
                Ok(program) => {
                    assert!(!program.is_empty());
                    compiled += 1;
                }
                Err(error) => unknown.push(format!("{}: {error}", path.display())),
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(compiled > 50, "{compiled}");
}
