//! Places in memory: indices, loads, stores, atomics.

use super::compile::{Compiler, Operand, Place, Root, Scope, Value};
use super::error::CompileError;
use super::layout::{self, Packing};
use super::program::{Atomic, Input, Kind, Op, SHARED};
use naga::{AtomicFunction, Expression, Handle, TypeInner};

impl<'a> Compiler<'a> {
    /// The type that a pointer points to.
    pub(super) fn pointee(
        &self,
        scope: &Scope<'a>,
        pointer: Handle<Expression>,
    ) -> Result<TypeInner, CompileError> {
        match *self.inner(scope, pointer) {
            TypeInner::Pointer { base, .. } => Ok(self.module.types[base].inner.clone()),
            TypeInner::ValuePointer {
                size: Some(size),
                scalar,
                ..
            } => Ok(TypeInner::Vector { size, scalar }),
            TypeInner::ValuePointer {
                size: None, scalar, ..
            } => Ok(TypeInner::Scalar(scalar)),
            ref other => Err(self.unknown(format!("a pointer of the type {other:?}"))),
        }
    }

    /// The register with the dynamic part of a place: 0 without one.
    pub(super) fn dynamic(&mut self, place: Place) -> u32 {
        place.dynamic.unwrap_or_else(|| self.constant(vec![0]))
    }

    pub(super) fn access_index(
        &mut self,
        scope: &mut Scope<'a>,
        base: Handle<Expression>,
        index: u32,
    ) -> Result<Operand, CompileError> {
        match self.operand(scope, base)? {
            Operand::Value(value) => {
                let offset = layout::offset(
                    self.module,
                    self.inner(scope, base),
                    index,
                    Packing::Registers,
                )?;
                let register = value.register + if value.splat { 0 } else { offset };
                Ok(Operand::Value(Value {
                    register,
                    splat: false,
                }))
            }
            Operand::Place(place) => {
                let inner = self.pointee(scope, base)?;
                if matches!(inner, TypeInner::Array { .. }) && layout::length(&inner)?.is_none() {
                    let index = self.constant(vec![index]);
                    return self.index(place, &inner, index, false);
                }
                let offset = layout::offset(self.module, &inner, index, place.packing)?;
                Ok(Operand::Place(Place {
                    offset: place.offset + offset,
                    ..place
                }))
            }
            Operand::Texture(_) => Err(self.unknown("an index into a texture")),
        }
    }

    pub(super) fn access(
        &mut self,
        scope: &mut Scope<'a>,
        base: Handle<Expression>,
        index: Handle<Expression>,
    ) -> Result<Operand, CompileError> {
        let signed = self.kind(scope, index)? == Kind::I32;
        let at = self.value(scope, index)?.register;
        match self.operand(scope, base)? {
            Operand::Place(place) => {
                let inner = self.pointee(scope, base)?;
                self.index(place, &inner, at, signed)
            }
            Operand::Value(value) => {
                let inner = self.inner(scope, base);
                let words = self.words(scope, base)?;
                let from = self.contiguous(value, words);
                let whole = Place {
                    root: Root::Frame(from),
                    offset: 0,
                    dynamic: None,
                    packing: Packing::Registers,
                };
                let Operand::Place(Place {
                    dynamic: Some(dynamic),
                    ..
                }) = self.index(whole, inner, at, signed)?
                else {
                    return Err(self.unknown("an index"));
                };
                let width = layout::stride(self.module, inner, Packing::Registers)?;
                let dst = self.allocate(width);
                self.emit(Op::LoadFrame, width as u16, 1, [dst, from, dynamic, 0, 0]);
                Ok(Operand::Value(Value {
                    register: dst,
                    splat: false,
                }))
            }
            Operand::Texture(_) => Err(self.unknown("an index into a texture")),
        }
    }

    /// The place of an element, with a check of the index.
    fn index(
        &mut self,
        place: Place,
        inner: &TypeInner,
        index: u32,
        signed: bool,
    ) -> Result<Operand, CompileError> {
        let stride = layout::stride(self.module, inner, place.packing)?;
        let length = match (layout::length(inner)?, place.root) {
            (Some(length), _) => self.constant(vec![length]),
            (None, Root::Resource(resource)) => self.input(Input::Length {
                resource,
                head: place.offset,
                stride,
            }),
            (None, _) => return Err(self.unknown("a runtime-sized array outside storage memory")),
        };
        let (before, stride) = (self.dynamic(place), self.constant(vec![stride]));
        let dst = self.allocate(1);
        if let Some(name) = self.variable(&place) {
            self.program.indexed.insert(self.here(), name);
        }
        self.emit(
            Op::Index,
            u16::from(signed),
            0,
            [dst, index, before, length, stride],
        );
        Ok(Operand::Place(Place {
            dynamic: Some(dst),
            ..place
        }))
    }

    /// Name of the variable that a place lies in.
    fn variable(&self, place: &Place) -> Option<String> {
        match place.root {
            Root::Resource(resource) => {
                let resource = self.program.resources.get(resource as usize)?;
                Some(resource.name.clone())
            }
            Root::Shared => {
                let mut all = self.program.shared.iter();
                let variable = all.find(|variable| variable.words.contains(&place.offset))?;
                Some(variable.name.clone())
            }
            Root::Frame(register) => {
                let mut all = self.program.locals.iter().rev();
                let variable = all.find(|(registers, _)| registers.contains(&register))?;
                Some(variable.1.clone())
            }
        }
    }

    pub(super) fn load(
        &mut self,
        scope: &mut Scope<'a>,
        pointer: Handle<Expression>,
    ) -> Result<Operand, CompileError> {
        let place = self.place_of(scope, pointer)?;
        let inner = self.pointee(scope, pointer)?;
        let words = layout::words(self.module, &inner)?;
        let dst = self.allocate(words);
        let result = Operand::Value(Value {
            register: dst,
            splat: false,
        });
        if matches!(inner, TypeInner::Atomic(_)) {
            self.emit_atomic(Op::AtomicLoad, place, dst, dst)?;
            return Ok(result);
        }
        let at = self.dynamic(place);
        for run in layout::runs(self.module, &inner, place.packing)? {
            let (word, register) = (place.offset + run.memory, dst + run.register);
            let width = run.width as u16;
            match (place.root, place.dynamic) {
                (Root::Frame(base), None) => {
                    self.emit_wide(Op::LoadLocal, run.width, register, base + word)
                }
                (Root::Frame(base), Some(at)) => {
                    self.emit(Op::LoadFrame, width, 1, [register, base + word, at, 0, 0]);
                }
                (Root::Shared, _) => {
                    let log = self.log();
                    self.emit(Op::LoadShared, width, 1, [register, 0, at, word, log]);
                }
                (Root::Resource(resource), _) => {
                    let log = self.log();
                    self.emit(
                        Op::LoadBuffer,
                        width,
                        1,
                        [register, resource, at, word, log],
                    );
                }
            }
        }
        Ok(result)
    }

    pub(super) fn store(
        &mut self,
        scope: &mut Scope<'a>,
        pointer: Handle<Expression>,
        value: Handle<Expression>,
    ) -> Result<(), CompileError> {
        let place = self.place_of(scope, pointer)?;
        let inner = self.pointee(scope, pointer)?;
        let words = layout::words(self.module, &inner)?;
        let value = self.value(scope, value)?;
        let is_atomic = matches!(inner, naga::TypeInner::Atomic(_));
        if is_atomic {
            return self.emit_atomic(Op::AtomicStore, place, 0, value.register);
        }
        let from = self.contiguous(value, words);
        let at = self.dynamic(place);
        for run in layout::runs(self.module, &inner, place.packing)? {
            let (word, register) = (place.offset + run.memory, from + run.register);
            match (place.root, place.dynamic) {
                (Root::Frame(base), None) => {
                    self.emit_wide(Op::StoreLocal, run.width, base + word, register)
                }
                (Root::Frame(base), Some(at)) => {
                    self.emit(
                        Op::StoreFrame,
                        run.width as u16,
                        1,
                        [base + word, register, at, 0, 0],
                    );
                }
                (Root::Shared, _) => {
                    let log = self.log();
                    self.emit(
                        Op::StoreShared,
                        run.width as u16,
                        1,
                        [0, register, at, word, log],
                    );
                }
                (Root::Resource(resource), _) => {
                    let log = self.log();
                    self.emit(
                        Op::StoreBuffer,
                        run.width as u16,
                        1,
                        [resource, register, at, word, log],
                    );
                }
            }
        }
        Ok(())
    }

    /// An atomic on a place, whose operands lie in registers from `from` on.
    fn emit_atomic(
        &mut self,
        op: Op,
        place: Place,
        dst: u32,
        from: u32,
    ) -> Result<(), CompileError> {
        let memory = match place.root {
            Root::Shared => SHARED,
            Root::Resource(resource) if resource < u32::from(SHARED) => {
                self.program.storage_atomics = true;
                resource as u16
            }
            _ => return Err(self.unknown("an atomic outside workgroup and storage memory")),
        };
        let (at, log) = (self.dynamic(place), self.log());
        self.emit(op, memory, 1, [dst, from, at, place.offset, log]);
        Ok(())
    }

    pub(super) fn atomic(
        &mut self,
        scope: &mut Scope<'a>,
        pointer: Handle<Expression>,
        function: AtomicFunction,
        value: Handle<Expression>,
        result: Option<Handle<Expression>>,
    ) -> Result<(), CompileError> {
        let kind = self.kind(scope, value)?;
        if kind == Kind::F32 && !matches!(function, AtomicFunction::Exchange { compare: None }) {
            return Err(self.unknown("an atomic on floats"));
        }
        let place = self.place_of(scope, pointer)?;
        let value = self.value(scope, value)?.register;
        let dst = self.allocate(2);
        let (op, from) = match function {
            AtomicFunction::Exchange {
                compare: Some(comparand),
            } => {
                let comparand = self.value(scope, comparand)?.register;
                (Op::CompareExchange, self.gather(&[value, comparand]))
            }
            _ => (Op::Atomic(Atomic::of(function, kind == Kind::I32)), value),
        };
        self.emit_atomic(op, place, dst, from)?;
        if let Some(result) = result {
            scope.operands[result.index()] = Some(Operand::Value(Value {
                register: dst,
                splat: false,
            }));
        }
        Ok(())
    }
}
