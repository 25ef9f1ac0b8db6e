//! Barriers and subgroup operations under non-uniform control flow, which naga does not check.
//!
//! A barrier that some invocations of a workgroup never reach is undefined behaviour; browsers
//! refuse a shader in which it might happen. This is a sound and simple version of WGSL's
//! uniformity analysis. A value is *uniform* when all invocations that compute it at the same
//! time get the same: constants, `workgroup_id`, `num_workgroups`, uniform buffers, read-only
//! storage at a uniform address, and what is computed of these. A local variable is uniform
//! when everything stored to it is, by stores that all invocations do together. Control flow is
//! uniform up to the first branch on another value, and again after it, unless some invocations
//! left there: from a loop, which makes the whole loop non-uniform (they part in some iteration,
//! and never meet before its end), or from the function, which makes all the rest so.
//!
//! The variables are found by repetition: all are uniform at first, a walk over the function
//! finds some that are not, until a walk finds no more. Only that last walk's faults count.

use naga::{
    AddressSpace, Binding, Block, BuiltIn, EntryPoint, Expression, Function, GatherMode, Handle,
    LocalVariable, Module, Statement, StorageAccess,
};
use std::collections::{BTreeSet, HashSet};

/// Everything that must be reached by all invocations of a workgroup and may not be.
pub fn faults(module: &Module, entry: &EntryPoint) -> BTreeSet<String> {
    let arguments = entry.function.arguments.iter().map(|argument| {
        matches!(
            argument.binding,
            Some(Binding::BuiltIn(
                BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups | BuiltIn::WorkGroupSize
            ))
        )
    });
    call(
        module,
        &entry.function,
        &entry.name,
        arguments.collect(),
        true,
    )
    .faults
}

/// What a call of a function comes to.
struct Outcome {
    faults: BTreeSet<String>,
    /// Whether its result is uniform.
    uniform: bool,
}

/// Analyses a function for arguments of which some are uniform, under control flow that is.
fn call(
    module: &Module,
    function: &Function,
    name: &str,
    arguments: Vec<bool>,
    control: bool,
) -> Outcome {
    let mut varying = Varying::default();
    loop {
        let mut walk = Walk {
            module,
            function,
            name,
            uniform: uniform_expressions(module, function, &arguments, &varying),
            found: varying.clone(),
            faults: BTreeSet::new(),
            result: true,
        };
        walk.block(&function.body, control);
        if walk.found == varying {
            return Outcome {
                faults: walk.faults,
                uniform: walk.result,
            };
        }
        varying = walk.found;
    }
}

/// What is known to differ between invocations.
#[derive(Clone, Default, PartialEq, Eq)]
struct Varying {
    locals: HashSet<Handle<LocalVariable>>,
    /// Results of statements: calls and uniform loads.
    results: HashSet<Handle<Expression>>,
}

/// Whether each expression is uniform: for a pointer, whether it points to the same place.
fn uniform_expressions(
    module: &Module,
    function: &Function,
    arguments: &[bool],
    varying: &Varying,
) -> Vec<bool> {
    use Expression as E;
    let mut uniform: Vec<bool> = Vec::with_capacity(function.expressions.len());
    for (handle, expression) in function.expressions.iter() {
        // Operands come before what is computed of them.
        let is = |operand: &Handle<Expression>| uniform[operand.index()];
        let value = match expression {
            E::Literal(_) | E::Constant(_) | E::Override(_) | E::ZeroValue(_) => true,
            E::GlobalVariable(_) | E::LocalVariable(_) | E::ArrayLength(_) => true,
            E::FunctionArgument(index) => arguments[*index as usize],
            E::Compose { components, .. } => components.iter().all(is),
            E::Access { base, index } => is(base) && is(index),
            E::AccessIndex { base, .. } => is(base),
            E::Splat { value, .. } => is(value),
            E::Swizzle { vector, .. } => is(vector),
            E::Unary { expr, .. } | E::As { expr, .. } => is(expr),
            E::Binary { left, right, .. } => is(left) && is(right),
            E::Select {
                condition,
                accept,
                reject,
            } => is(condition) && is(accept) && is(reject),
            E::Relational { argument, .. } => is(argument),
            E::Math {
                arg,
                arg1,
                arg2,
                arg3,
                ..
            } => is(arg) && [arg1, arg2, arg3].into_iter().flatten().all(is),
            E::Load { pointer } => {
                is(pointer)
                    && match function.expressions[root(function, *pointer)] {
                        E::LocalVariable(local) => !varying.locals.contains(&local),
                        E::GlobalVariable(global) => match module.global_variables[global].space {
                            AddressSpace::Uniform => true,
                            AddressSpace::Storage { access } => {
                                !access.contains(StorageAccess::STORE)
                            }
                            _ => false,
                        },
                        _ => false,
                    }
            }
            E::CallResult(_) | E::WorkGroupUniformLoadResult { .. } => {
                !varying.results.contains(&handle)
            }
            // Atomics, subgroup operations, images: never taken for uniform.
            _ => false,
        };
        uniform.push(value);
    }
    uniform
}

/// The variable or argument that a pointer leads into.
fn root(function: &Function, mut pointer: Handle<Expression>) -> Handle<Expression> {
    while let Expression::Access { base, .. } | Expression::AccessIndex { base, .. } =
        function.expressions[pointer]
    {
        pointer = base;
    }
    pointer
}

/// Which invocations may have gone from a piece of code while others stayed.
#[derive(Clone, Copy, Default)]
struct Left {
    the_loop: bool,
    the_function: bool,
}

impl std::ops::BitOrAssign for Left {
    fn bitor_assign(&mut self, other: Self) {
        self.the_loop |= other.the_loop;
        self.the_function |= other.the_function;
    }
}

impl Left {
    fn any(self) -> bool {
        self.the_loop || self.the_function
    }
}

/// One walk over a function.
struct Walk<'m> {
    module: &'m Module,
    function: &'m Function,
    name: &'m str,
    /// Of each expression, by what was known before the walk.
    uniform: Vec<bool>,
    /// What is known after it.
    found: Varying,
    faults: BTreeSet<String>,
    /// Whether every value returned so far is uniform.
    result: bool,
}

impl Walk<'_> {
    fn is(&self, expression: Handle<Expression>) -> bool {
        self.uniform[expression.index()]
    }

    fn block(&mut self, block: &Block, mut control: bool) -> Left {
        let mut left = Left::default();
        for statement in block {
            left |= self.statement(statement, control);
            control &= !left.any();
        }
        left
    }

    fn statement(&mut self, statement: &Statement, control: bool) -> Left {
        use Statement as S;
        let mut left = Left::default();
        match statement {
            S::Block(block) => left |= self.block(block, control),
            S::If {
                condition,
                accept,
                reject,
            } => {
                let inside = control && self.is(*condition);
                left |= self.block(accept, inside);
                left |= self.block(reject, inside);
            }
            S::Switch { selector, cases } => {
                let inside = control && self.is(*selector);
                for case in cases {
                    // A `break` that leaves only the switch counts as leaving the loop: strict.
                    left |= self.block(&case.body, inside);
                }
            }
            S::Loop {
                body,
                continuing,
                break_if,
            } => {
                let once = self.iteration(body, continuing, control);
                left |= once;
                let together = break_if.is_none_or(|condition| self.is(condition));
                if control && (once.any() || !together) {
                    // Who stays walks through the body again, without the others.
                    left |= self.iteration(body, continuing, false);
                }
                left.the_loop = false;
            }
            S::Break | S::Continue => left.the_loop = !control,
            S::Return { value } => {
                left.the_function = !control;
                self.result &= control && value.is_none_or(|value| self.is(value));
            }
            S::Kill => left.the_function = !control,
            S::Store { pointer, value } if control && self.is(*pointer) && self.is(*value) => {}
            S::Store { pointer, .. } => self.vary(*pointer),
            S::Call {
                function,
                arguments,
                result,
            } => {
                // What is written through a pointer is not followed.
                for argument in arguments {
                    self.vary(*argument);
                }
                let callee = &self.module.functions[*function];
                let outcome = call(
                    self.module,
                    callee,
                    callee.name.as_deref().unwrap_or("a function"),
                    arguments.iter().map(|a| self.is(*a)).collect(),
                    control,
                );
                self.faults.extend(outcome.faults);
                if let (Some(result), false) = (result, outcome.uniform) {
                    self.found.results.insert(*result);
                }
            }
            S::ControlBarrier(_) => self.demand(control, "a barrier"),
            S::WorkGroupUniformLoad { pointer, result } => {
                self.demand(control, "a uniform load");
                if !self.is(*pointer) {
                    self.found.results.insert(*result);
                }
            }
            S::SubgroupBallot { .. } | S::SubgroupCollectiveOperation { .. } => {
                self.demand(control, "a subgroup operation");
            }
            S::SubgroupGather { mode, .. } => {
                self.demand(control, "a subgroup operation");
                if let GatherMode::Broadcast(lane) = mode
                    && !self.is(*lane)
                {
                    self.faults
                        .insert(format!("a broadcast from several lanes in `{}`", self.name));
                }
            }
            _ => {}
        }
        left
    }

    fn iteration(&mut self, body: &Block, continuing: &Block, control: bool) -> Left {
        let mut left = self.block(body, control);
        left |= self.block(continuing, control && !left.any());
        left
    }

    /// What `pointer` leads into, if it is a local variable, may now differ.
    fn vary(&mut self, pointer: Handle<Expression>) {
        let root = root(self.function, pointer);
        if let Expression::LocalVariable(local) = self.function.expressions[root] {
            self.found.locals.insert(local);
        }
    }

    fn demand(&mut self, control: bool, what: &str) {
        if !control {
            let name = self.name;
            self.faults
                .insert(format!("{what} that not all invocations reach in `{name}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Shader;
    use naga::valid::Capabilities;

    fn is_faulty(body: &str) -> bool {
        let source = format!(
            "struct Step {{ count: u32 }}
             @group(0) @binding(0) var<uniform> step: Step;
             @group(0) @binding(1) var<storage, read> frozen: array<u32>;
             @group(0) @binding(2) var<storage, read_write> data: array<u32>;
             var<workgroup> shared_word: u32;
             fn meet(i: u32) -> u32 {{ if (i > 0u) {{ workgroupBarrier(); }} return i; }}
             fn choose(i: u32) -> u32 {{ if (i > 3u) {{ return 1u; }} return 2u; }}
             fn assign(p: ptr<function, u32>, v: u32) {{ *p = v; }}
             @compute @workgroup_size(64)
             fn main(
                 @builtin(local_invocation_index) lane: u32,
                 @builtin(global_invocation_id) id: vec3u,
                 @builtin(workgroup_id) group: vec3u,
                 @builtin(num_workgroups) groups: vec3u,
             ) {{ {body} }}"
        );
        let shader = Shader::new(&source, Capabilities::SUBGROUP).unwrap_or_else(|e| panic!("{e}"));
        let entry = &shader.module.entry_points[0];
        !super::faults(&shader.module, entry).is_empty()
    }

    #[test]
    fn faulty_shaders_are_found() {
        for body in [
            // Branches on what differs.
            "if (lane == 0u) { workgroupBarrier(); }",
            "if (lane == 0u) { } else { storageBarrier(); }",
            "if (id.x < step.count) { workgroupBarrier(); }",
            "if (data[0] == 0u) { workgroupBarrier(); }",
            "if (frozen[lane] == 0u) { workgroupBarrier(); }",
            "if (shared_word == 0u) { workgroupBarrier(); }",
            "if (group.x == 0u && lane < 3u) { workgroupBarrier(); }",
            "if (group.x + lane == 0u) { if (true) { workgroupBarrier(); } }",
            "switch lane { case 1u: { workgroupBarrier(); } default: { } }",
            // Some are gone.
            "if (lane > 3u) { return; } workgroupBarrier();",
            "for (var i = 0u; i < 4u; i++) { if (i == lane) { return; } } workgroupBarrier();",
            // Loops that end at different times.
            "for (var i = lane; i < 9u; i++) { workgroupBarrier(); }",
            "for (var i = 0u; i < lane; i++) { workgroupBarrier(); }",
            "for (var i = 0u; i < 9u; i += lane + 1u) { workgroupBarrier(); }",
            "loop { workgroupBarrier(); if (lane == 1u) { break; } }",
            "loop { workgroupBarrier(); continuing { break if lane == 1u; } }",
            "for (var i = 0u; i < 9u; i++) { if (i == lane) { continue; } workgroupBarrier(); }",
            "for (var i = 0u; i < 9u; i++) {
                 workgroupBarrier(); if (i == lane) { if (true) { return; } }
             }",
            // Variables set by some, or to what differs, directly or around a corner.
            "var x = 0u; if (lane == 0u) { x = 1u; } if (x == 1u) { workgroupBarrier(); }",
            "var x = 0u; var y = 0u;
             for (var i = 0u; i < 4u; i++) {
                 if (y == 1u) { workgroupBarrier(); } y = x; x = lane;
             }",
            "var x = 0u; loop { x++; if (x > lane) { break; } } if (x == 2u) { workgroupBarrier(); }",
            "var x = vec2u(); x.y = lane; if (x.x == 1u) { workgroupBarrier(); }",
            "var x = array<u32, 4>(); x[lane % 4u] = 1u; if (x[0] == 1u) { workgroupBarrier(); }",
            "var x = 0u; assign(&x, lane); if (x == 1u) { workgroupBarrier(); }",
            // Through functions.
            "let x = meet(lane);",
            "if (lane == 0u) { let x = meet(1u); }",
            "if (choose(lane) == 1u) { workgroupBarrier(); }",
            "if (meet(group.x) + lane == 1u) { workgroupBarrier(); }",
            // The other operations that want company.
            "if (lane == 0u) { let x = workgroupUniformLoad(&shared_word); }",
            "if (lane == 0u) { let x = subgroupAdd(1u); }",
            "if (lane == 0u) { let x = subgroupShuffle(lane, 1u); }",
            "if (subgroupAdd(lane) == 1u) { workgroupBarrier(); }",
        ] {
            assert!(is_faulty(body), "{body}");
        }
    }

    #[test]
    fn sound_shaders_pass() {
        for body in [
            "workgroupBarrier();",
            "if (lane == 0u) { data[0] = 1u; } workgroupBarrier();",
            "workgroupBarrier(); if (lane > 3u) { return; } data[0] = 1u;",
            "if (group.x >= step.count) { return; } workgroupBarrier();",
            "if (group.x * 64u < groups.x && frozen[group.y] > 2u) { workgroupBarrier(); }",
            "for (var i = group.x; i < step.count; i += groups.x) { workgroupBarrier(); }",
            "for (var i = 32u; i > 0u; i /= 2u) {
                 if (lane < i) { data[lane] += data[lane + i]; } workgroupBarrier();
             }",
            "for (var i = lane; i < 9u; i++) { data[i] = 1u; } workgroupBarrier();",
            "for (var i = 0u; i < 9u; i++) { if (i == lane) { continue; } } workgroupBarrier();",
            "for (var i = 0u; i < 9u; i++) { workgroupBarrier(); if (i == group.x) { break; } }",
            "var x = 0u; x = group.x; if (x == 1u) { workgroupBarrier(); }",
            "let x = meet(group.x); if (x == 2u) { workgroupBarrier(); }",
            "if (choose(group.x) == 1u) { workgroupBarrier(); }",
            "let x = workgroupUniformLoad(&shared_word); if (x == 1u) { workgroupBarrier(); }",
            "let x = subgroupShuffle(lane, 1u); data[lane] = x;",
        ] {
            assert!(!is_faulty(body), "{body}");
        }
    }
}
