//! Settings from a file and from the command line, laid over the defaults key by key.
//!
//! A key that no setting has is an error that names the nearest one: a misspelt option must
//! never be silently the default.

use super::presets::Preset;
use super::{Settings, SettingsError};
use strsim::levenshtein;
use toml::{Table, Value};

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is no TOML.
    #[error("{origin}: {error}")]
    Syntax {
        /// File or option.
        origin: String,
        /// Line, column and reason.
        error: Box<toml::de::Error>,
    },
    /// No setting has this name.
    #[error("{origin}: there is no setting `{key}`; the nearest is `{nearest}`")]
    Unknown {
        /// File or option.
        origin: String,
        /// The key as given.
        key: String,
        /// A key that exists.
        nearest: String,
    },
    /// Not of the form `key=value`.
    #[error("--set {text}: write --set key=value, for example --set search.lambda=200")]
    NoValue {
        /// The option's argument.
        text: String,
    },
    /// A value that the setting cannot have.
    #[error("{origin}: `{key}` cannot be {problem}")]
    Type {
        /// File or option.
        origin: String,
        /// The key.
        key: String,
        /// Its value, and what it should be.
        problem: String,
    },
    /// Settings that do not fit together.
    #[error("{0}")]
    Whole(Box<toml::de::Error>),
    /// A value out of bounds.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Settings under construction.
#[derive(Debug, Clone)]
pub struct Layers(Table);

impl Default for Layers {
    fn default() -> Self {
        // The defaults are plain values: they always have a TOML form.
        Self(Table::try_from(Settings::default()).unwrap_or_default())
    }
}

impl Layers {
    /// Lays the TOML text of `origin` over what is there.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], [`ConfigError::Unknown`].
    pub fn file(&mut self, origin: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error| ConfigError::Syntax {
            origin: origin.to_owned(),
            error: Box::new(error),
        })?;
        self.table(origin, "", table)
    }

    /// Lays a preset's settings over what is there.
    ///
    /// # Errors
    /// As [`Layers::file`]: a defect of the program.
    pub fn preset(&mut self, preset: &Preset) -> Result<(), ConfigError> {
        let origin = format!("the preset {}", preset.name);
        let mut table: Table = preset.text.parse().map_err(|error| ConfigError::Syntax {
            origin: origin.clone(),
            error: Box::new(error),
        })?;
        table.remove("preset");
        self.table(&origin, "", table)
    }

    fn table(&mut self, origin: &str, prefix: &str, table: Table) -> Result<(), ConfigError> {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            match value {
                Value::Table(inner) => self.table(origin, &format!("{path}."), inner)?,
                value => self.put(origin, &path, value)?,
            }
        }
        Ok(())
    }

    /// Lays `key=value` over what is there; the value is TOML, or a string without quotes.
    ///
    /// # Errors
    /// [`ConfigError::NoValue`], [`ConfigError::Unknown`].
    pub fn set(&mut self, text: &str) -> Result<(), ConfigError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(ConfigError::NoValue {
                text: text.to_owned(),
            });
        };
        let value = match value.trim().parse::<Value>() {
            Ok(parsed) => parsed,
            Err(_) => Value::String(value.trim().to_owned()),
        };
        self.put("--set", key.trim(), value)
    }

    /// Lays one value over what is there.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], [`ConfigError::Type`].
    pub fn put(&mut self, origin: &str, path: &str, value: Value) -> Result<(), ConfigError> {
        let Some(slot) = find(&mut self.0, path) else {
            return Err(ConfigError::Unknown {
                origin: origin.to_owned(),
                nearest: nearest(&self.0, path),
                key: path.to_owned(),
            });
        };
        // A number given for a setting that is text (`budget = 4915`) means its digits.
        let value = match (&*slot, value) {
            (Value::String(_), Value::Integer(number)) => Value::String(number.to_string()),
            (Value::String(_), Value::Float(number)) => Value::String(number.to_string()),
            (_, value) => value,
        };
        *slot = value.clone();
        // All defaults can be: what cannot be read back among them is this value.
        let mut alone = Self::default().0;
        if let Some(slot) = find(&mut alone, path) {
            *slot = value.clone();
        }
        read(&alone).map_err(|error| ConfigError::Type {
            origin: origin.to_owned(),
            key: path.to_owned(),
            problem: format!("{value}: {}", error.message()),
        })?;
        Ok(())
    }

    /// The settings, checked.
    ///
    /// # Errors
    /// [`ConfigError::Settings`].
    pub fn finish(self) -> Result<Settings, ConfigError> {
        let settings = read(&self.0).map_err(|error| ConfigError::Whole(Box::new(error)))?;
        settings.validate()?;
        Ok(settings)
    }
}

fn read(table: &Table) -> Result<Settings, toml::de::Error> {
    let text = toml::to_string(table).unwrap_or_default();
    toml::from_str(&text)
}

/// The value at a dotted path that is no table.
fn find<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => table.get_mut(path).filter(|value| !value.is_table()),
        Some((head, rest)) => find(table.get_mut(head)?.as_table_mut()?, rest),
    }
}

/// Names of all settings as dotted paths.
fn names(table: &Table, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => names(inner, &format!("{prefix}{key}."), out),
            _ => out.push(format!("{prefix}{key}")),
        }
    }
}

fn nearest(table: &Table, path: &str) -> String {
    let mut all = Vec::new();
    names(table, "", &mut all);
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    all.into_iter()
        .min_by_key(|name| levenshtein(name, path).min(levenshtein(&last(name), &last(path)) + 1))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_override_in_order() {
        let mut layers = Layers::default();
        let file = "model = 'resnet8'\nbatch = 32\n[search]\nlambda = 7\n";
        layers.file("config.toml", file).unwrap();
        layers.set("search.lambda=9.5").unwrap();
        layers.set("data=/tmp/my images").unwrap();
        layers.set("search.budget=4915").unwrap();
        let settings = layers.finish().unwrap();
        assert_eq!(settings.model, "resnet8");
        assert_eq!(settings.batch, 32);
        assert_eq!(settings.search.lambda, 9.5);
        assert_eq!(settings.search.budget, "4915");
        assert_eq!(settings.data, "/tmp/my images");
        assert_eq!(settings.teacher, Settings::default().teacher);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut settings = Settings::default();
        settings.search.lambda = 0.1;
        settings.teacher.descent.rate = 0.3;
        let text = toml::to_string(&settings).unwrap();
        let mut layers = Layers::default();
        layers.file("config.toml", &text).unwrap();
        assert_eq!(layers.finish().unwrap(), settings);
    }

    #[test]
    fn mistakes_are_named() {
        let mut layers = Layers::default();
        let message = layers.set("search.lamda=3").unwrap_err().to_string();
        assert!(message.contains("search.lambda"), "{message}");
        assert!(layers.set("search=3").is_err(), "a table is no setting");
        assert!(
            layers
                .set("lambda")
                .unwrap_err()
                .to_string()
                .contains("key=value")
        );
        assert!(layers.file("x.toml", "model = ").is_err());
        for (text, key) in [
            ("batch=many", "batch"),
            ("batch=-1", "batch"),
            ("seed=99999999999", "seed"),
            ("search.polynomial=cubic", "search.polynomial"),
            ("teacher.optimizer=7", "teacher.optimizer"),
            ("finish.rate=fast", "finish.rate"),
        ] {
            let message = Layers::default().set(text).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}` cannot be")), "{message}");
        }
        for bad in [
            "batch=0",
            "validation=0",
            "search.degree=3",
            "search.rate=-1",
            "clip=nan",
        ] {
            let mut layers = Layers::default();
            layers.set(bad).unwrap();
            assert!(
                matches!(layers.finish(), Err(ConfigError::Settings(_))),
                "{bad}"
            );
        }
    }
}
