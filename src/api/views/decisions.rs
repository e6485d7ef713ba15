//! Messages and the decisions that led to them, as they are told.

