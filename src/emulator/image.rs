//! Textures: loads, stores and sizes. A texel is found like an array's element, its words like a buffer's.

use super::compile::{Compiler, Operand, Scope, Texture, Value};
use super::error::CompileError;
use super::program::{Input, Kind, Op};
use naga::{Expression, Handle, ImageDimension, ImageQuery};

impl Texture {
    /// Axes that a coordinate has.
    fn axes(&self) -> u32 {
        match self.dimension {
            ImageDimension::D1 => 1,
            ImageDimension::D2 | ImageDimension::Cube => 2,
            ImageDimension::D3 => 3,
        }
    }
}

impl<'a> Compiler<'a> {
    fn texture_of(
        &mut self,
        scope: &mut Scope<'a>,
        image: Handle<Expression>,
    ) -> Result<Texture, CompileError> {
        match self.operand(scope, image)? {
            Operand::Texture(texture) => Ok(texture),
            _ => Err(self.unknown("a texture that is no variable")),
        }
    }

    /// The register with a texel's first word.
    fn texel(
        &mut self,
        scope: &mut Scope<'a>,
        texture: Texture,
        coordinate: Handle<Expression>,
        layer: Option<Handle<Expression>>,
    ) -> Result<u32, CompileError> {
        let signed = self.kind(scope, coordinate)? == Kind::I32;
        let value = self.value(scope, coordinate)?;
        let mut at: Vec<u32> = (0..texture.axes())
            .map(|axis| value.register + if value.splat { 0 } else { axis })
            .collect();
        if let Some(layer) = layer {
            at.push(self.value(scope, layer)?.register);
        }
        let width = at.len() as u16;
        let extents: Vec<u32> = (0..width as u8)
            .map(|axis| self.extent(texture, axis))
            .collect();
        let extents = self.gather(&extents);
        let from = self.gather(&at);
        let dst = self.allocate(1);
        self.emit(
            Op::Texel,
            width,
            0,
            [dst, from, texture.resource, u32::from(signed), extents],
        );
        Ok(dst)
    }

    /// The register with an extent; layers come after the axes.
    fn extent(&mut self, texture: Texture, axis: u8) -> u32 {
        let layer = texture.arrayed && u32::from(axis) == texture.axes();
        let axis = if layer { 2 } else { axis };
        self.input(Input::Extent {
            resource: texture.resource,
            axis,
        })
    }

    pub(super) fn image_load(
        &mut self,
        scope: &mut Scope<'a>,
        image: Handle<Expression>,
        coordinate: Handle<Expression>,
        layer: Option<Handle<Expression>>,
        level: Option<Handle<Expression>>,
    ) -> Result<Value, CompileError> {
        let texture = self.texture_of(scope, image)?;
        if let Some(level) = level {
            let level = self.value(scope, level)?;
            if self.known(level.register, 1) != Some(&[0]) {
                return Err(self.unknown("a mip level other than a constant 0"));
            }
        }
        let at = self.texel(scope, texture, coordinate, layer)?;
        let register = self.allocate(4);
        // Channels that the format lacks are 0, and alpha is 1.
        if texture.words < 4 {
            let one = if texture.float { 1f32.to_bits() } else { 1 };
            let absent = self.constant(vec![0, 0, 0, one]);
            self.emit_wide(Op::Copy, 4, register, absent);
        }
        let log = self.log();
        self.emit(
            Op::LoadBuffer,
            texture.words as u16,
            1,
            [register, texture.resource, at, 0, log],
        );
        Ok(Value {
            register,
            splat: false,
        })
    }

    pub(super) fn image_store(
        &mut self,
        scope: &mut Scope<'a>,
        image: Handle<Expression>,
        coordinate: Handle<Expression>,
        layer: Option<Handle<Expression>>,
        value: Handle<Expression>,
    ) -> Result<(), CompileError> {
        let texture = self.texture_of(scope, image)?;
        let value = self.value(scope, value)?;
        let from = self.contiguous(value, 4);
        let at = self.texel(scope, texture, coordinate, layer)?;
        let log = self.log();
        self.emit(
            Op::StoreBuffer,
            texture.words as u16,
            1,
            [texture.resource, from, at, 0, log],
        );
        Ok(())
    }

    pub(super) fn image_query(
        &mut self,
        scope: &mut Scope<'a>,
        image: Handle<Expression>,
        query: ImageQuery,
    ) -> Result<Value, CompileError> {
        let texture = self.texture_of(scope, image)?;
        let register = match query {
            ImageQuery::Size { level: None } => {
                let extents: Vec<u32> = (0..texture.axes() as u8)
                    .map(|axis| self.extent(texture, axis))
                    .collect();
                self.gather(&extents)
            }
            ImageQuery::NumLayers => self.extent(texture, texture.axes() as u8),
            ImageQuery::NumLevels => self.constant(vec![1]),
            other => return Err(self.unknown(format!("the texture query {other:?}"))),
        };
        Ok(Value {
            register,
            splat: false,
        })
    }
}
