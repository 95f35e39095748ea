"""What a raster says about a polygon: frames, polygons, pixel shares, zonal sums and parcel files.

Knows no database, no carbon and no web. Read downwards: `errors` and `crs`, then `polygon`, `raster`,
`coverage` (built by `coverage_build`, kept by `coverage_store`), `zonal` (from the file) and `packed` (from
what is kept of it); `work` says who does it; `vector` reads and writes parcel files. Polygons of record live
in EPSG:4490 (CGCS2000, longitude then latitude) and an edge is a straight line in those coordinates; areas
are square metres on the ellipsoid.
"""
