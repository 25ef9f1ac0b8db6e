//! Where variables lie, and what the entry point is given.

use super::compile::{Compiler, Operand, Place, Root, Texture, Value};
use super::error::CompileError;
use super::layout::{self, Packing};
use super::program::{Input, Op, Resource, SharedVariable};
use super::source::Slot;
use naga::valid::FunctionInfo;
use naga::{AddressSpace, ArraySize, Binding, BuiltIn, Function, GlobalVariable, Handle};
use naga::{ImageClass, ImageDimension, StorageAccess, StorageFormat, TypeInner};

impl Compiler<'_> {
    /// Gives every variable that the entry point uses its memory.
    pub(super) fn globals(&mut self, used: &FunctionInfo) -> Result<(), CompileError> {
        for (handle, variable) in self.module.global_variables.iter() {
            if used[handle].is_empty() {
                continue;
            }
            self.at(self.module.global_variables.get_span(handle));
            let inner = &self.module.types[variable.ty].inner;
            let name = variable
                .name
                .clone()
                .unwrap_or_else(|| "unnamed".to_owned());
            let operand = match variable.space {
                AddressSpace::Private => self.private(variable, name)?,
                AddressSpace::WorkGroup => self.shared(inner, name)?,
                AddressSpace::Uniform | AddressSpace::Immediate | AddressSpace::Storage { .. } => {
                    self.buffer(variable, inner, name)?
                }
                AddressSpace::Handle => self.texture(variable, inner, name)?,
                other => return Err(self.unknown(format!("the address space {other:?}"))),
            };
            self.globals.insert(handle, operand);
        }
        Ok(())
    }

    fn private(
        &mut self,
        variable: &GlobalVariable,
        name: String,
    ) -> Result<Operand, CompileError> {
        let inner = &self.module.types[variable.ty].inner;
        let words = layout::words(self.module, inner)?;
        let register = self.allocate(words);
        self.program.locals.push((register..register + words, name));
        match variable.init {
            Some(init) => {
                let value = self.global_constant(init)?;
                let from = self.constant(value);
                self.emit_wide(Op::StoreLocal, words, register, from);
            }
            None => self.emit_wide(Op::ClearLocal, words, register, register),
        }
        Ok(Operand::Place(Place {
            root: Root::Frame(register),
            offset: 0,
            dynamic: None,
            packing: Packing::Registers,
        }))
    }

    fn shared(&mut self, inner: &TypeInner, name: String) -> Result<Operand, CompileError> {
        let packing = match layout::has_bool(self.module, inner) {
            true => Packing::Registers,
            false => Packing::Memory,
        };
        // Aligned as the strictest type wants it.
        let begin = self.program.shared_words.next_multiple_of(4);
        let end = begin.saturating_add(layout::memory_words(self.module, inner, packing)?);
        if end > 1 << 24 {
            return Err(self.unknown("workgroup memory of 64 MiB or more"));
        }
        self.program.shared_words = end;
        let stride = layout::stride(self.module, inner, packing).unwrap_or(1);
        self.program.shared.push(SharedVariable {
            name,
            words: begin..end,
            stride,
        });
        Ok(Operand::Place(Place {
            root: Root::Shared,
            offset: begin,
            dynamic: None,
            packing,
        }))
    }

    fn slot(&self, variable: &GlobalVariable) -> Slot {
        match &variable.binding {
            Some(at) => Slot::Binding {
                group: at.group,
                binding: at.binding,
            },
            None => Slot::Immediate,
        }
    }

    fn buffer(
        &mut self,
        variable: &GlobalVariable,
        inner: &TypeInner,
        name: String,
    ) -> Result<Operand, CompileError> {
        let resource = self.program.resources.len() as u32;
        let least = layout::memory_words(self.module, inner, Packing::Memory)?;
        let (head, stride) = match *inner {
            TypeInner::Array { stride, .. } => (0, stride / 4),
            TypeInner::Struct { ref members, .. } => match members.last() {
                Some(last) => match self.module.types[last.ty].inner {
                    TypeInner::Array {
                        stride,
                        size: ArraySize::Dynamic,
                        ..
                    } => (last.offset / 4, stride / 4),
                    _ => (0, 1),
                },
                None => (0, 1),
            },
            _ => (0, 1),
        };
        let writable = match variable.space {
            AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
            _ => false,
        };
        self.program.resources.push(Resource {
            name,
            slot: self.slot(variable),
            writable,
            texel_words: None,
            least_bytes: 4 * u64::from(least),
            floats: layout::has_only_floats(self.module, inner),
            stride,
            head,
        });
        let root = Root::Resource(resource);
        Ok(Operand::Place(Place {
            root,
            offset: 0,
            dynamic: None,
            packing: Packing::Memory,
        }))
    }

    fn texture(
        &mut self,
        variable: &GlobalVariable,
        inner: &TypeInner,
        name: String,
    ) -> Result<Operand, CompileError> {
        use StorageFormat as F;
        let TypeInner::Image {
            dim: dimension,
            arrayed,
            class,
        } = *inner
        else {
            return Err(self.unknown(format!("a variable of the type {inner:?}")));
        };
        let (words, float, writable) = match class {
            ImageClass::Storage { format, access } => {
                let (words, float) = match format {
                    F::R32Float => (1, true),
                    F::Rg32Float => (2, true),
                    F::Rgba32Float => (4, true),
                    F::R32Uint | F::R32Sint => (1, false),
                    F::Rg32Uint | F::Rg32Sint => (2, false),
                    F::Rgba32Uint | F::Rgba32Sint => (4, false),
                    other => return Err(self.unknown(format!("textures of the format {other:?}"))),
                };
                (words, float, access.contains(StorageAccess::STORE))
            }
            // What a sampled texture's channels are is the binding's affair; here they are four words.
            ImageClass::Sampled { kind, multi: false } => {
                (4, kind == naga::ScalarKind::Float, false)
            }
            other => return Err(self.unknown(format!("textures of the class {other:?}"))),
        };
        if dimension == ImageDimension::Cube {
            return Err(self.unknown("cube textures"));
        }
        let resource = self.program.resources.len() as u32;
        self.program.resources.push(Resource {
            name,
            slot: self.slot(variable),
            writable,
            texel_words: Some(words),
            least_bytes: 0,
            floats: float,
            stride: words,
            head: 0,
        });
        Ok(Operand::Texture(Texture {
            resource,
            dimension,
            arrayed,
            words,
            float,
        }))
    }

    /// The entry point's arguments, out of what is known at launch.
    pub(super) fn arguments(&mut self, function: &Function) -> Result<Vec<Operand>, CompileError> {
        let mut arguments = Vec::new();
        for argument in &function.arguments {
            let inner = &self.module.types[argument.ty].inner;
            let parts: Vec<_> = match (inner, &argument.binding) {
                (TypeInner::Struct { members, .. }, None) => members
                    .iter()
                    .map(|member| (member.ty, &member.binding))
                    .collect(),
                (_, binding) => vec![(argument.ty, binding)],
            };
            let mut words = Vec::new();
            for (ty, binding) in parts {
                let Some(Binding::BuiltIn(builtin)) = binding else {
                    return Err(self.unknown("an argument that is no builtin"));
                };
                let count = layout::words(self.module, &self.module.types[ty].inner)?;
                for axis in 0..count as u8 {
                    words.push(self.builtin(*builtin, axis)?);
                }
            }
            let register = self.gather(&words);
            arguments.push(Operand::Value(Value {
                register,
                splat: false,
            }));
        }
        Ok(arguments)
    }

    fn builtin(&mut self, builtin: BuiltIn, axis: u8) -> Result<u32, CompileError> {
        let input = match builtin {
            BuiltIn::GlobalInvocationId => Input::GlobalId(axis),
            BuiltIn::LocalInvocationId => Input::LocalId(axis),
            BuiltIn::LocalInvocationIndex => Input::LocalIndex,
            BuiltIn::WorkGroupId => Input::WorkgroupId(axis),
            BuiltIn::NumWorkGroups => Input::NumWorkgroups(axis),
            BuiltIn::WorkGroupSize => {
                let size = self.program.workgroup_size[usize::from(axis.min(2))];
                return Ok(self.constant(vec![size]));
            }
            BuiltIn::SubgroupSize => Input::SubgroupSize,
            BuiltIn::SubgroupId => Input::SubgroupId,
            BuiltIn::NumSubgroups => Input::NumSubgroups,
            BuiltIn::SubgroupInvocationId => Input::SubgroupLane,
            other => return Err(self.unknown(format!("the builtin {other:?}"))),
        };
        Ok(self.input(input))
    }

    /// The operand of a variable.
    pub(super) fn global(&self, handle: Handle<GlobalVariable>) -> Result<Operand, CompileError> {
        let operand = self.globals.get(&handle).copied();
        operand.ok_or_else(|| self.unknown("a variable that naga calls unused"))
    }
}
