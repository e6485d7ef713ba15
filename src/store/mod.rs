//! SQLite: the journal, last results, one writer. All SQL is in this folder.
