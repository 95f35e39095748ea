"""Biomass to tonnes of CO2 equivalent, by method version. The room by its folders and files:

methods/                                 equations, parameter tables and method versions: pure functions
plots/ rasters/ input_files.py           what is measured with, kept in the home under its digest
inputs.py ground.py run.py chain.py run_record.py    a run: what decides it, what comes out, how it is told
service.py estimate_jobs.py screening.py    runs of periods; stocks of a whole province, to look at
recompute.py proof.py bundles/           the same kilograms again, by whoever wants to know
reports/                                 a run on paper
routes.py                                over HTTP; each folder has routes of its own
"""
