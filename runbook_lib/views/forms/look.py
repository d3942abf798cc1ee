"""How forms look: edges and hints that stand out, a visible focus, labels above the fields where room is short."""

from __future__ import annotations

# JupyterLab's own edges have a contrast of less than 2 to 1 in its light theme; this grey has 3.9 on white and more
# on its dark page. The room is that of the pane, which is narrow on a wide screen too.
STYLE = (
    "<style>"
    ".rb-form{container-type:inline-size;--jp-widgets-input-border-color:#808080}"
    ".rb-form button{border:1px solid #808080}"
    ".rb-form select{appearance:auto!important;background-image:none!important}"
    ".rb-form ::placeholder{color:var(--jp-ui-font-color2,var(--vscode-input-placeholderForeground,#757575));opacity:1}"
    ".rb-form :focus-visible{outline:2px solid #1976d2!important;outline-offset:1px}"
    ".rb-drop{border:2px dashed #808080;padding:.6em 1em;line-height:1.45}.rb-drop.rb-over{border-style:solid}"
    ".rb-form h3{font-size:1em;margin:.6em 0 .2em}"
    "@container (max-width:36em){"
    ".rb-form .widget-text,.rb-form .widget-textarea,.rb-form .widget-dropdown{flex-direction:column;height:auto}"
    ".rb-form .widget-label{width:auto!important;text-align:left}"
    ".rb-form select,.rb-form textarea,.rb-form input[type=text]{flex:none!important;width:100%!important}"
    ".rb-form select{min-height:28px}"
    ".rb-form .widget-checkbox,.rb-form .widget-label-basic{height:auto!important}"
    ".rb-form .widget-label-basic span{white-space:normal!important}"
    ".rb-form .widget-html,.rb-form .widget-vbox{margin-left:0!important}"
    "}"
    "</style>"
)
