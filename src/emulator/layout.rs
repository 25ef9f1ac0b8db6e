//! How many words a type takes, and where its parts lie: in registers, without padding, and in memory
//! that the host shares.

use super::error::CompileError;
use super::program::Kind;
use naga::{ArraySize, Handle, Module, Scalar, ScalarKind, Type, TypeInner, VectorSize};

/// A piece of a value that lies in one piece both in memory and in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Word of memory.
    pub(super) memory: u32,
    /// Word of the value.
    pub(super) register: u32,
    /// Words.
    pub(super) width: u32,
}

/// Which of the two layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Without padding.
    Registers,
    /// With WGSL's alignments.
    Memory,
}

pub(super) fn kind(scalar: Scalar) -> Result<Kind, CompileError> {
    match (scalar.kind, scalar.width) {
        (ScalarKind::Bool, _) => Ok(Kind::Bool),
        (ScalarKind::Sint, 4) => Ok(Kind::I32),
        (ScalarKind::Uint, 4) => Ok(Kind::U32),
        (ScalarKind::Float, 4) => Ok(Kind::F32),
        (kind, width) => Err(CompileError::unknown(format!(
            "scalars of {} bits ({kind:?})",
            8 * width
        ))),
    }
}

fn cells(size: VectorSize) -> u32 {
    u32::from(size)
}

/// Words of a value in registers.
pub(super) fn words(module: &Module, inner: &TypeInner) -> Result<u32, CompileError> {
    let of = |ty: Handle<Type>| words(module, &module.types[ty].inner);
    match *inner {
        TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => kind(scalar).map(|_| 1),
        TypeInner::Vector { size, scalar } => kind(scalar).map(|_| cells(size)),
        TypeInner::Matrix {
            columns,
            rows,
            scalar,
        } => kind(scalar).map(|_| cells(columns) * cells(rows)),
        TypeInner::Array {
            base,
            size: ArraySize::Constant(n),
            ..
        } => {
            let all = of(base)?.checked_mul(n.get()).filter(|&all| all < 1 << 28);
            all.ok_or_else(|| CompileError::unknown("an array of a gigabyte or more"))
        }
        TypeInner::Array { .. } => Err(CompileError::unknown("a runtime-sized array as a value")),
        TypeInner::Struct { ref members, .. } => members
            .iter()
            .try_fold(0, |sum, member| Ok(sum + of(member.ty)?)),
        ref other => Err(CompileError::unknown(format!(
            "a value of the type {other:?}"
        ))),
    }
}

/// The scalar that a scalar, vector, matrix or atomic is made of.
pub(super) fn scalar(inner: &TypeInner) -> Result<Scalar, CompileError> {
    match *inner {
        TypeInner::Scalar(scalar)
        | TypeInner::Atomic(scalar)
        | TypeInner::Vector { scalar, .. }
        | TypeInner::Matrix { scalar, .. } => Ok(scalar),
        ref other => Err(CompileError::unknown(format!(
            "arithmetic on the type {other:?}"
        ))),
    }
}

/// Whether a bool is in it: naga gives bools no place in memory that the host shares.
pub(super) fn has_bool(module: &Module, inner: &TypeInner) -> bool {
    match *inner {
        TypeInner::Array { base, .. } => has_bool(module, &module.types[base].inner),
        TypeInner::Struct { ref members, .. } => members
            .iter()
            .any(|member| has_bool(module, &module.types[member.ty].inner)),
        ref other => scalar(other).is_ok_and(|scalar| scalar.kind == ScalarKind::Bool),
    }
}

/// Whether all numbers of a type are floats.
pub(super) fn has_only_floats(module: &Module, inner: &TypeInner) -> bool {
    match *inner {
        TypeInner::Array { base, .. } => has_only_floats(module, &module.types[base].inner),
        TypeInner::Struct { ref members, .. } => members
            .iter()
            .all(|member| has_only_floats(module, &module.types[member.ty].inner)),
        ref other => scalar(other).is_ok_and(|scalar| scalar.kind == ScalarKind::Float),
    }
}

/// Words from one element to the next.
pub(super) fn stride(
    module: &Module,
    inner: &TypeInner,
    packing: Packing,
) -> Result<u32, CompileError> {
    match (inner, packing) {
        (TypeInner::Vector { .. }, _) => Ok(1),
        (TypeInner::Matrix { rows, .. }, Packing::Registers) => Ok(cells(*rows)),
        (
            TypeInner::Matrix {
                rows: VectorSize::Bi,
                ..
            },
            Packing::Memory,
        ) => Ok(2),
        (TypeInner::Matrix { .. }, Packing::Memory) => Ok(4),
        (TypeInner::Array { stride, .. }, Packing::Memory) => Ok(stride / 4),
        (TypeInner::Array { base, .. }, Packing::Registers) => {
            words(module, &module.types[*base].inner)
        }
        (other, _) => Err(CompileError::unknown(format!(
            "an index into the type {other:?}"
        ))),
    }
}

/// Where part `index` of a struct, array, matrix or vector begins.
pub(super) fn offset(
    module: &Module,
    inner: &TypeInner,
    index: u32,
    packing: Packing,
) -> Result<u32, CompileError> {
    match (inner, packing) {
        (TypeInner::Struct { members, .. }, Packing::Memory) => {
            let member = members.get(index as usize);
            Ok(member.map_or(0, |member| member.offset / 4))
        }
        (TypeInner::Struct { members, .. }, Packing::Registers) => {
            let before = members.iter().take(index as usize);
            before
                .map(|member| &module.types[member.ty].inner)
                .try_fold(0, |sum, ty| Ok(sum + words(module, ty)?))
        }
        _ => Ok(index * stride(module, inner, packing)?),
    }
}

/// Elements of an array, matrix or vector; `None` for a runtime-sized array.
pub(super) fn length(inner: &TypeInner) -> Result<Option<u32>, CompileError> {
    match *inner {
        TypeInner::Vector { size, .. } => Ok(Some(cells(size))),
        TypeInner::Matrix { columns, .. } => Ok(Some(cells(columns))),
        TypeInner::Array {
            size: ArraySize::Constant(n),
            ..
        } => Ok(Some(n.get())),
        TypeInner::Array {
            size: ArraySize::Dynamic,
            ..
        } => Ok(None),
        ref other => Err(CompileError::unknown(format!(
            "an index into the type {other:?}"
        ))),
    }
}

/// Words that a variable takes in memory; of a runtime-sized array, those of one element.
pub(super) fn memory_words(
    module: &Module,
    inner: &TypeInner,
    packing: Packing,
) -> Result<u32, CompileError> {
    if packing == Packing::Registers {
        return words(module, inner);
    }
    match *inner {
        TypeInner::Matrix { columns, .. } => Ok(cells(columns) * stride(module, inner, packing)?),
        TypeInner::Array { size, stride, .. } => match size {
            ArraySize::Constant(n) => Ok(n.get().saturating_mul(stride / 4)),
            _ => Ok(stride / 4),
        },
        TypeInner::Struct { span, .. } => Ok(span / 4),
        _ => words(module, inner),
    }
}

/// The pieces of a value, in order.
pub(super) fn runs(
    module: &Module,
    inner: &TypeInner,
    packing: Packing,
) -> Result<Vec<Run>, CompileError> {
    let mut runs = Vec::new();
    collect(module, inner, packing, [0, 0], &mut runs)?;
    Ok(runs)
}

fn collect(
    module: &Module,
    inner: &TypeInner,
    packing: Packing,
    [memory, register]: [u32; 2],
    runs: &mut Vec<Run>,
) -> Result<(), CompileError> {
    let mut parts = |count: u32, part: &dyn Fn(u32) -> Handle<Type>| {
        (0..count).try_for_each(|i| {
            let at = [
                memory + offset(module, inner, i, packing)?,
                register + offset(module, inner, i, Packing::Registers)?,
            ];
            collect(module, &module.types[part(i)].inner, packing, at, runs)
        })
    };
    match *inner {
        TypeInner::Struct { ref members, .. } => {
            parts(members.len() as u32, &|i| members[i as usize].ty)
        }
        TypeInner::Array {
            base,
            size: ArraySize::Constant(n),
            ..
        } => parts(n.get(), &|_| base),
        TypeInner::Matrix { columns, rows, .. } => {
            for column in 0..cells(columns) {
                let memory = memory + offset(module, inner, column, packing)?;
                push(
                    runs,
                    Run {
                        memory,
                        register: register + column * cells(rows),
                        width: cells(rows),
                    },
                );
            }
            Ok(())
        }
        _ => {
            push(
                runs,
                Run {
                    memory,
                    register,
                    width: words(module, inner)?,
                },
            );
            Ok(())
        }
    }
}

/// Appends a run, or lengthens the last one.
fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last)
            if last.memory + last.width == run.memory
                && last.register + last.width == run.register
                && last.width + run.width <= u32::from(u16::MAX) =>
        {
            last.width += run.width;
        }
        _ => runs.push(run),
    }
}
