"""What commands print: documents, tables, sentences."""
