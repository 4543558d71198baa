std = "ngx_lua"
codes = true
max_line_length = 120
exclude_files = { ".work", "target", "**/node_modules" }
