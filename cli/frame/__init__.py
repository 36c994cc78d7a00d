"""The frame of the command line: parser, output, tables, completion, manual. Knows no command by itself."""
