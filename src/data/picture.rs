//! From a file to pixels: its format by its first bytes, and nothing taken for a picture that is half
//! of one.

use crate::panics::caught;
use image::{ImageReader, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Bytes of a decoded picture above which a file is no image to train on.
const LARGEST: usize = 1 << 29;

/// How a JPEG begins.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// Reads the picture in a file, in colours of 8 bits.
///
/// # Errors
/// A sentence, where it is none, is cut short, or breaks its decoder.
pub(super) fn read(path: &Path) -> Result<RgbImage, String> {
    let bytes = contents(path)?;
    guarded(|| match bytes.starts_with(&JPEG) {
        true => jpeg(&bytes),
        false => {
            if is_short_webp(&bytes) {
                return Err("the file is cut short".into());
            }
            let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
            let picture = reader.map_err(text)?.decode().map_err(text)?;
            // Colours first: scaling a palette or transparency would blend what is not a colour.
            Ok(picture.into_rgb8())
        }
    })
}

/// Width and height of the picture in a file, by its header.
///
/// # Errors
/// A sentence, where there is no such header.
pub(super) fn size(path: &Path) -> Result<(u32, u32), String> {
    let bytes = contents(path)?;
    guarded(|| match bytes.starts_with(&JPEG) {
        true => {
            let mut decoder = Decoder::new(&*bytes);
            decoder.read_info().map_err(text)?;
            let info = decoder.info().ok_or("it has no header")?;
            Ok((info.width.into(), info.height.into()))
        }
        false => {
            let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
            reader.map_err(text)?.into_dimensions().map_err(text)
        }
    })
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(text)?;
    match bytes.is_empty() {
        true => Err("it is empty".into()),
        false => Ok(bytes),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The pixels of a JPEG, as libjpeg has them but for rounding.
fn jpeg(bytes: &[u8]) -> Result<RgbImage, String> {
    // Decoders fill what is missing with grey.
    if !ends(bytes) {
        return Err("the file is cut short".into());
    }
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(LARGEST);
    let pixels = decoder.decode().map_err(text)?;
    let info = decoder.info().ok_or("it has no header")?;
    let colours = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        // The upper of two bytes in the machine's order.
        PixelFormat::L16 => {
            let grey = |pair: &[u8]| (u16::from_ne_bytes([pair[0], pair[1]]) >> 8) as u8;
            let grey = pixels.chunks_exact(2).map(grey);
            grey.flat_map(|grey| [grey; 3]).collect()
        }
        PixelFormat::CMYK32 => pixels.chunks_exact(4).flat_map(printed).collect(),
    };
    RgbImage::from_raw(info.width.into(), info.height.into(), colours)
        .ok_or_else(|| "its header and its pixels do not agree".into())
}

/// The colour of four inks, each from 0 (none) to 255.
fn printed(inks: &[u8]) -> [u8; 3] {
    let white = 255 - u32::from(inks[3]);
    [inks[0], inks[1], inks[2]].map(|ink| {
        let dark = (u32::from(ink) * white + 127) / 255;
        (white - dark) as u8
    })
}

/// Whether a WebP is shorter than it says: its decoder does without the last bytes.
fn is_short_webp(bytes: &[u8]) -> bool {
    match bytes {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            a,
            b,
            c,
            d,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => u64::from(u32::from_le_bytes([*a, *b, *c, *d])) + 8 > bytes.len() as u64,
        _ => false,
    }
}

/// Whether a JPEG goes on to its end, marker by marker. Whatever follows is no part of it.
fn ends(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut at = 2;
    // Markers begin with 0xff, of which there may be several.
    while let Some(&byte) = bytes.get(at) {
        let marker = match (byte, bytes.get(at + 1)) {
            (0xff, Some(0xff)) => {
                at += 1;
                continue;
            }
            (0xff, Some(&marker)) => marker,
            _ => return false,
        };
        at += 2;
        match marker {
            END => return true,
            // Restarts, and markers that are nothing but themselves.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let Some(length) = bytes.get(at..at + 2) else {
            return false;
        };
        at += usize::from(u16::from_be_bytes([length[0], length[1]]));
        if marker == START_OF_SCAN {
            // Within a scan 0xff is followed by 0, or by the number of a restart.
            let next = bytes.get(at..).unwrap_or_default().windows(2);
            let next = { next }
                .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7));
            match next {
                Some(entropy) => at += entropy,
                None => return false,
            }
        }
    }
    false
}

/// Runs a decoder. One that panics has met a broken file.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    caught(decode).unwrap_or_else(|words| Err(format!("it breaks the decoder: {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_has_met_a_broken_file() {
        let error = guarded(|| -> Result<(), String> { panic!("index 9") });
        assert_eq!(error, Err("it breaks the decoder: index 9".into()));
        assert_eq!(guarded(|| Ok(3)), Ok(3));
    }

    #[test]
    fn inks_are_colours() {
        assert_eq!(printed(&[0, 0, 0, 0]), [255, 255, 255]);
        assert_eq!(printed(&[0, 0, 0, 255]), [0, 0, 0]);
        assert_eq!(printed(&[255, 0, 0, 0]), [0, 255, 255]);
        assert_eq!(printed(&[0, 128, 255, 55]), [200, 100, 0]);
    }
}
