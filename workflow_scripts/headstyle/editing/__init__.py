"""Editors: what turns the views of a head into edited views, all behind one interface."""

from headstyle.editing.base import Editor, Instruction, View
from headstyle.editing.registry import check_editing, make_editor

__all__ = ["Editor", "Instruction", "View", "check_editing", "make_editor"]
