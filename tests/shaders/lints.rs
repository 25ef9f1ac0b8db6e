//! Lints on naga's IR for the shape that every adapter, backend and browser takes.

use crate::{Shader, uniformity};
use naga::{AddressSpace, Block, Expression, Function, Handle, Statement};

/// What WebGPU guarantees without asking.
const STORAGE_BUFFERS: usize = 8;
const INVOCATIONS: u32 = 256;
const WORKGROUP_MEMORY: u32 = 16 << 10;

/// Everything that the lints say about an entry point.
pub fn faults(shader: &Shader, entry: &str) -> Vec<String> {
    let module = &shader.module;
    let Some(index) = module.entry_points.iter().position(|e| e.name == entry) else {
        return vec![format!("there is no entry point `{entry}`")];
    };
    let point = &module.entry_points[index];
    let mut faults = Vec::new();

    let invocations: u32 = point.workgroup_size.iter().product();
    if invocations > INVOCATIONS {
        faults.push(format!("{invocations} invocations in a workgroup"));
    }

    let used = |(handle, _): &(Handle<naga::GlobalVariable>, _)| {
        !shader.info.get_entry_point(index)[*handle].is_empty()
    };
    let storage = module
        .global_variables
        .iter()
        .filter(used)
        .filter(|(_, global)| matches!(global.space, AddressSpace::Storage { .. }))
        .count();
    if storage > STORAGE_BUFFERS {
        faults.push(format!("{storage} storage buffers"));
    }

    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).expect("a layout");
    let memory: u32 = module
        .global_variables
        .iter()
        .filter(used)
        .filter(|(_, global)| global.space == AddressSpace::WorkGroup)
        // As WebGPU counts it: each variable in whole units of 16 bytes.
        .map(|(_, global)| layouter[global.ty].size.next_multiple_of(16))
        .sum();
    if memory > WORKGROUP_MEMORY {
        faults.push(format!("{memory} bytes of workgroup memory"));
    }

    let functions = module.functions.iter().map(|(_, function)| function);
    for function in functions.chain([&point.function]) {
        indexed_private_stores(module, function, &function.body, &mut faults);
    }
    faults.extend(uniformity::faults(module, point));
    faults
}

/// A store to an element of a private or function array whose index is only known at run time
/// moves the whole array from registers to memory.
fn indexed_private_stores(
    module: &naga::Module,
    function: &Function,
    block: &Block,
    faults: &mut Vec<String>,
) {
    for statement in block {
        match statement {
            Statement::Store { pointer, .. } => {
                if let Some(name) = indexed_private(module, function, *pointer) {
                    faults.push(format!("`{name}` is stored to at a computed index"));
                }
            }
            Statement::Call { arguments, .. } => {
                let names = arguments
                    .iter()
                    .filter_map(|argument| indexed_private(module, function, *argument));
                faults.extend(names.map(|name| {
                    format!("a pointer into `{name}` at a computed index is handed on")
                }));
            }
            _ => {}
        }
        for inner in blocks_of(statement) {
            indexed_private_stores(module, function, inner, faults);
        }
    }
}

/// Name of the private variable that `pointer` leads into through a computed index.
fn indexed_private(
    module: &naga::Module,
    function: &Function,
    mut pointer: Handle<Expression>,
) -> Option<String> {
    let mut computed = false;
    loop {
        match function.expressions[pointer] {
            Expression::Access { base, index } => {
                computed |= !matches!(
                    function.expressions[index],
                    Expression::Literal(_) | Expression::Constant(_)
                );
                pointer = base;
            }
            Expression::AccessIndex { base, .. } => pointer = base,
            Expression::LocalVariable(local) if computed => {
                return function.local_variables[local].name.clone();
            }
            Expression::GlobalVariable(global) if computed => {
                let global = &module.global_variables[global];
                return match global.space {
                    AddressSpace::Private => global.name.clone(),
                    _ => None,
                };
            }
            // Pointers handed in: the caller's are caught where they are made.
            _ => return None,
        }
    }
}

/// The blocks inside a statement.
fn blocks_of(statement: &Statement) -> Vec<&Block> {
    match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
        Statement::Loop {
            body, continuing, ..
        } => vec![body, continuing],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::faults;
    use crate::Shader;
    use naga::valid::Capabilities;

    fn faults_of(source: &str) -> Vec<String> {
        let shader = Shader::new(source, Capabilities::empty());
        faults(&shader.unwrap_or_else(|e| panic!("{e}")), "main")
    }

    #[track_caller]
    fn assert_fault(source: &str, part: &str) {
        let faults = faults_of(source);
        assert!(
            faults.len() == 1 && faults[0].contains(part),
            "expected `{part}`, got {faults:?} from {source}"
        );
    }

    #[test]
    fn large_workgroups_are_found() {
        assert_fault(
            "@compute @workgroup_size(32, 9) fn main() {}",
            "288 invocations",
        );
        assert!(faults_of("@compute @workgroup_size(32, 8) fn main() {}").is_empty());
    }

    #[test]
    fn many_storage_buffers_are_found() {
        let shader = |count: u32| {
            let buffers: String = (0..count)
                .map(|i| format!("@group(0) @binding({i}) var<storage, read_write> b{i}: u32;\n"))
                .collect();
            let stores: String = (0..count).map(|i| format!("b{i} = 1u;")).collect();
            format!("{buffers}@compute @workgroup_size(1) fn main() {{ {stores} }}")
        };
        assert_fault(&shader(9), "9 storage buffers");
        assert!(faults_of(&shader(8)).is_empty());
    }

    #[test]
    fn much_workgroup_memory_is_found() {
        let shader = |length: u32| {
            format!(
                "var<workgroup> a: array<vec4f, {length}>; var<workgroup> b: f32;
                 @compute @workgroup_size(1) fn main() {{ a[0].x = 1.0; b = 1.0; }}"
            )
        };
        assert_fault(&shader(1024), "16400 bytes");
        assert!(faults_of(&shader(1023)).is_empty());
    }

    #[test]
    fn computed_private_stores_are_found() {
        let shader = |declaration: &str, index: &str| {
            format!(
                "@compute @workgroup_size(1)
                 fn main(@builtin(local_invocation_index) i: u32) {{
                     {declaration}
                     a[{index}] = 1.0;
                 }}"
            )
        };
        assert_fault(&shader("var a: array<f32, 4>;", "i"), "`a` is stored to");
        assert_fault(&shader("var a: vec4f;", "i % 2u"), "`a` is stored to");
        assert!(faults_of(&shader("var a: array<f32, 4>;", "2")).is_empty());
        let private = format!("var<private> a: array<f32, 4>;{}", shader("", "i"));
        assert_fault(&private, "`a` is stored to");
        let shared = format!("var<workgroup> a: array<f32, 4>;{}", shader("", "i"));
        assert!(faults_of(&shared).is_empty());
        assert_fault(
            "@compute @workgroup_size(1)
             fn main(@builtin(local_invocation_index) i: u32) {
                 var a: array<f32, 4>;
                 let p = &a[i];
                 *p = 2.0;
             }",
            "`a` is stored to",
        );
    }

    #[test]
    fn a_missing_entry_point_is_found() {
        assert_fault(
            "@compute @workgroup_size(1) fn other() {}",
            "no entry point",
        );
    }

    #[test]
    fn optional_features_are_refused() {
        let subgroup = "@compute @workgroup_size(8) fn main() { let x = subgroupAdd(1u); }";
        assert!(Shader::new(subgroup, Capabilities::empty()).is_err());
        assert!(Shader::new(subgroup, Capabilities::SUBGROUP).is_ok());
    }
}
