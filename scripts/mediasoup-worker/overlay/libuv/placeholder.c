typedef int overlay_placeholder;
