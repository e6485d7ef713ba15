//! The configuration file: text → typed values, mistakes with line and column.
